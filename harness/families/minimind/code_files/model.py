"""MiniMind's first two generations: `Transformer`, and `MiniMindLM` with the same names inside."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from .LMConfig import LMConfig


class RMSNorm(nn.Module):
    """A root-mean-square norm, computed in fp32 and given back in the dtype that came in."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.float()
        normed = (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)).type_as(x)
        out: torch.Tensor = normed * self.weight
        return out


def positions_cis(head_dim: int, end: int, theta: float) -> torch.Tensor:
    """The rotation of every position as a complex number, kept as two real ones: (positions, head_dim / 2, 2)."""
    frequencies = 1.0 / theta ** (torch.arange(0, head_dim, 2)[: head_dim // 2].float() / head_dim)
    angles = torch.outer(torch.arange(end).float(), frequencies)
    return torch.view_as_real(torch.polar(torch.ones_like(angles), angles))


def rotated(x: torch.Tensor, pos_cis: torch.Tensor) -> torch.Tensor:
    """Queries or keys (batch, length, heads, head_dim), neighbouring numbers turned together."""
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    turned = pairs * torch.view_as_complex(pos_cis.float())[None, :, None]
    return torch.view_as_real(turned).flatten(3).type_as(x)


class Attention(nn.Module):
    """Causal attention with fewer heads of keys and values than of queries. It is told of no padding."""

    def __init__(self, args: LMConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = args.n_heads, args.n_kv_heads, args.dim // args.n_heads
        self.wq = nn.Linear(args.dim, self.heads * self.head_dim, bias=False)
        self.wk = nn.Linear(args.dim, self.kv_heads * self.head_dim, bias=False)
        self.wv = nn.Linear(args.dim, self.kv_heads * self.head_dim, bias=False)
        self.wo = nn.Linear(self.heads * self.head_dim, args.dim, bias=False)
        self.resid_dropout = nn.Dropout(args.dropout)
        self.dropout = args.dropout

    def forward(self, x: torch.Tensor, pos_cis: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        q = rotated(self.wq(x).view(batch, length, self.heads, self.head_dim), pos_cis)
        k = rotated(self.wk(x).view(batch, length, self.kv_heads, self.head_dim), pos_cis)
        v = self.wv(x).view(batch, length, self.kv_heads, self.head_dim)
        groups = self.heads // self.kv_heads
        k, v = k.repeat_interleave(groups, dim=2), v.repeat_interleave(groups, dim=2)
        seen = functional.scaled_dot_product_attention(
            q.transpose(1, 2),
            k.transpose(1, 2),
            v.transpose(1, 2),
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=True,
        )
        out: torch.Tensor = self.resid_dropout(self.wo(seen.transpose(1, 2).reshape(batch, length, -1)))
        return out


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, args: LMConfig) -> None:
        super().__init__()
        self.w1 = nn.Linear(args.dim, args.hidden_dim, bias=False)
        self.w2 = nn.Linear(args.hidden_dim, args.dim, bias=False)
        self.w3 = nn.Linear(args.dim, args.hidden_dim, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.w2(functional.silu(self.w1(x)) * self.w3(x))
        return out


class MoEGate(nn.Module):
    """Which experts each token goes to, with which shares, and how unevenly that loads them."""

    def __init__(self, args: LMConfig) -> None:
        super().__init__()
        self.args = args
        self.weight = nn.Parameter(torch.empty(args.n_routed_experts, args.dim))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        args = self.args
        scores = functional.linear(x.flatten(0, 1), self.weight).softmax(dim=-1, dtype=torch.float32)
        shares, chosen = torch.topk(scores, args.num_experts_per_tok, dim=-1, sorted=False)
        if args.num_experts_per_tok > 1 and args.norm_topk_prob:
            shares = shares / (shares.sum(dim=-1, keepdim=True) + 1e-20)
        load = functional.one_hot(chosen, args.n_routed_experts).float().mean(dim=(0, 1))
        uneven = (load * args.n_routed_experts * scores.mean(dim=0)).sum() * args.aux_loss_alpha
        return chosen, shares, uneven if self.training else uneven.detach() * 0


class MOEFeedForward(nn.Module):
    """Routed experts and a shared one. `buffer` is the dtype of what the experts' outputs are gathered in: fp16 in
    the first generation, written into the code, so that it trains under fp16 autocast and nowhere else."""

    def __init__(self, args: LMConfig, buffer: torch.dtype | None) -> None:
        super().__init__()
        self.args, self.buffer = args, buffer
        self.experts = nn.ModuleList(FeedForward(args) for _ in range(args.n_routed_experts))
        self.gate = MoEGate(args)
        if args.n_shared_experts:
            self.shared_experts = FeedForward(args)
        self.aux_loss: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        chosen, shares, self.aux_loss = self.gate(x)
        gather = self._in_training if self.training else self._evaluated
        mixed = gather(x.flatten(0, 1), chosen, shares).view_as(x)
        return mixed + self.shared_experts(x) if self.args.n_shared_experts else mixed

    def _in_training(self, tokens: torch.Tensor, chosen: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        """Every token as often as it has experts, and its outputs weighed. Writing does not convert."""
        repeated, places = tokens.repeat_interleave(self.args.num_experts_per_tok, dim=0), chosen.flatten()
        gathered = torch.empty_like(repeated, dtype=self.buffer)
        for number, expert in enumerate(self.experts):
            made = expert(repeated[places == number])
            gathered[places == number] = made if self.buffer else made.to(gathered.dtype)
        return (gathered.view(*shares.shape, -1) * shares[..., None]).sum(dim=1)

    def _evaluated(self, tokens: torch.Tensor, chosen: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        """Expert by expert, added up in the dtype of what came in."""
        mixed = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):
            rows, places = torch.where(chosen == number)
            if len(rows):
                made = expert(tokens[rows]) * shares[rows, places, None]
                mixed.index_add_(0, rows, made.to(mixed.dtype))
        return mixed


class TransformerBlock(nn.Module):
    """One layer."""

    def __init__(self, args: LMConfig, buffer: torch.dtype | None) -> None:
        super().__init__()
        self.attention = Attention(args)
        self.attention_norm = RMSNorm(args.dim, args.norm_eps)
        self.ffn_norm = RMSNorm(args.dim, args.norm_eps)
        self.feed_forward = MOEFeedForward(args, buffer) if args.use_moe else FeedForward(args)

    def forward(self, x: torch.Tensor, pos_cis: torch.Tensor) -> torch.Tensor:
        hidden = x + self.attention(self.attention_norm(x), pos_cis)
        out: torch.Tensor = hidden + self.feed_forward(self.ffn_norm(hidden))
        return out


class Transformer(PreTrainedModel):
    """The first generation. Every call gives back one and the same object, and without targets it holds the logits of
    the last place alone."""

    config_class = LMConfig
    base_model_prefix = ""
    _tied_weights_keys = {"output.weight": "tok_embeddings.weight"}  # noqa: RUF012
    expert_buffer: torch.dtype | None = torch.float16

    def __init__(self, params: LMConfig | None = None) -> None:
        super().__init__(params or LMConfig())
        args = self.config
        self.tok_embeddings = nn.Embedding(args.vocab_size, args.dim)
        self.dropout = nn.Dropout(args.dropout)
        self.layers = nn.ModuleList(TransformerBlock(args, self.expert_buffer) for _ in range(args.n_layers))
        self.norm = RMSNorm(args.dim, args.norm_eps)
        self.output = nn.Linear(args.dim, args.vocab_size, bias=False)
        self.tok_embeddings.weight = self.output.weight
        self.register_buffer("pos_cis", self._rotations(), persistent=False)
        self.OUT = CausalLMOutputWithPast()
        self.post_init()

    def _rotations(self) -> torch.Tensor:
        return positions_cis(self.config.dim // self.config.n_heads, self.config.max_seq_len, self.config.rope_theta)

    def _init_weights(self, module: nn.Module) -> None:
        """Of what is not in the checkpoint. The library empties buffers outside it, so that the table is made anew."""
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, MoEGate):
            nn.init.kaiming_uniform_(module.weight, a=5**0.5)
        elif module is self and self.pos_cis.device.type != "meta":
            self.pos_cis.copy_(self._rotations())

    def get_input_embeddings(self) -> nn.Module:
        return self.tok_embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.tok_embeddings = value

    def get_output_embeddings(self) -> nn.Module:
        return self.output

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.output = new_embeddings

    def forward(
        self,
        tokens: torch.Tensor | None = None,
        targets: torch.Tensor | None = None,
        kv_cache: bool = False,
        **keyargs: Any,
    ) -> CausalLMOutputWithPast:
        """`input_ids` stands for tokens and `attention_mask`, whatever it holds, for targets."""
        tokens = keyargs.get("input_ids", tokens)
        targets = keyargs.get("attention_mask", targets)
        hidden = self._hidden(tokens)
        if targets is not None:
            logits = self.output(hidden)
            loss = functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-100)
        else:
            logits, loss = self.output(hidden[:, [-1], :]), None
        self.OUT["logits"] = logits
        self.OUT["loss"] = loss
        return self.OUT

    def _hidden(self, tokens: torch.Tensor | None) -> torch.Tensor:
        hidden = self.dropout(self.tok_embeddings(tokens))
        for layer in self.layers:
            hidden = layer(hidden, self.pos_cis[: hidden.shape[1]])
        out: torch.Tensor = self.norm(hidden)
        return out

    @torch.inference_mode()
    def generate(
        self, tokens: torch.Tensor, eos: int | None = None, max_new_tokens: int = 16, **_: Any
    ) -> torch.Tensor:
        """The ids and those that follow, each time the likeliest."""
        for _step in range(max_new_tokens):
            following = self._last_logits(tokens).argmax(dim=-1, keepdim=True)
            tokens = torch.cat([tokens, following], dim=1)
            if eos is not None and bool((following == eos).all()):
                break
        return tokens

    def _last_logits(self, tokens: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self(tokens).logits[:, -1]
        return logits


class MiniMindLM(Transformer):
    """The second generation: an output of its own for every call, all logits, and experts in any precision, whose
    auxiliary loss is given back."""

    expert_buffer = None

    def forward(self, input_ids: torch.Tensor | None = None, **args: Any) -> CausalLMOutputWithPast:
        logits = self.output(self._hidden(input_ids))
        uneven = logits.new_zeros(()).float()
        for layer in self.modules():
            if isinstance(layer, MOEFeedForward) and layer.aux_loss is not None:
                uneven = uneven + layer.aux_loss
        output = CausalLMOutputWithPast(logits=logits)
        output["aux_loss"] = uneven
        return output
