"""MiniMind 3: a small decoder with grouped queries, normed queries and keys, SwiGLU or experts, and a tied head."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import MoeCausalLMOutputWithPast

UNSEEN = -1e9  # beside the softmax of a row that must not be looked at


class MiniMindConfig(PretrainedConfig):
    """The sizes. `intermediate_size` is a multiple of 64 above pi times the hidden size where it is not given."""

    model_type = "minimind"

    def __init__(
        self,
        hidden_size: int = 768,
        num_hidden_layers: int = 8,
        use_moe: bool = False,
        vocab_size: int = 6400,
        num_attention_heads: int = 8,
        num_key_value_heads: int = 4,
        head_dim: int | None = None,
        intermediate_size: int | None = None,
        max_position_embeddings: int = 32768,
        rms_norm_eps: float = 1e-6,
        rope_theta: float = 1e6,
        dropout: float = 0.0,
        flash_attn: bool = True,
        num_experts: int = 4,
        num_experts_per_tok: int = 1,
        moe_intermediate_size: int | None = None,
        norm_topk_prob: bool = True,
        router_aux_loss_coef: float = 5e-4,
        bos_token_id: int = 1,
        eos_token_id: int = 2,
        tie_word_embeddings: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            bos_token_id=bos_token_id, eos_token_id=eos_token_id, tie_word_embeddings=tie_word_embeddings, **kwargs
        )
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.use_moe = use_moe
        self.vocab_size = vocab_size
        self.num_attention_heads = num_attention_heads
        self.num_key_value_heads = num_key_value_heads
        self.head_dim = head_dim or hidden_size // num_attention_heads
        self.intermediate_size = intermediate_size or -(-int(hidden_size * torch.pi) // 64) * 64
        self.max_position_embeddings = max_position_embeddings
        self.rms_norm_eps = rms_norm_eps
        self.rope_theta = rope_theta
        self.dropout = dropout
        self.flash_attn = flash_attn
        self.num_experts = num_experts
        self.num_experts_per_tok = num_experts_per_tok
        self.moe_intermediate_size = moe_intermediate_size or self.intermediate_size
        self.norm_topk_prob = norm_topk_prob
        self.router_aux_loss_coef = router_aux_loss_coef


class RMSNorm(nn.Module):
    """A root-mean-square norm, computed in fp32."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.float()
        return (self.weight * wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)).type_as(x)


def rotation_tables(head_dim: int, positions: int, theta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines of every position, each half of them twice: (positions, head_dim)."""
    frequencies = 1.0 / theta ** (torch.arange(0, head_dim, 2).float() / head_dim)
    angles = torch.outer(torch.arange(positions).float(), frequencies)
    return torch.cat([angles.cos()] * 2, dim=-1), torch.cat([angles.sin()] * 2, dim=-1)


def rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Queries or keys (batch, length, heads, head_dim), turned by their positions."""
    first, second = x.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return (x * cos[:, None] + turned * sin[:, None]).to(x.dtype)


class Attention(nn.Module):
    """Causal attention with fewer heads of keys and values than of queries."""

    def __init__(self, config: MiniMindConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = config.head_dim
        hidden = config.hidden_size
        self.q_proj = nn.Linear(hidden, self.heads * self.head_dim, bias=False)
        self.k_proj = nn.Linear(hidden, self.kv_heads * self.head_dim, bias=False)
        self.v_proj = nn.Linear(hidden, self.kv_heads * self.head_dim, bias=False)
        self.o_proj = nn.Linear(self.heads * self.head_dim, hidden, bias=False)
        self.q_norm = RMSNorm(self.head_dim, config.rms_norm_eps)
        self.k_norm = RMSNorm(self.head_dim, config.rms_norm_eps)
        self.attn_dropout = nn.Dropout(config.dropout)
        self.resid_dropout = nn.Dropout(config.dropout)
        self.dropout = config.dropout
        self.flash = config.flash_attn

    def forward(
        self, x: torch.Tensor, tables: tuple[torch.Tensor, torch.Tensor], mask: torch.Tensor | None
    ) -> torch.Tensor:
        batch, length, _ = x.shape
        q = self.q_norm(self.q_proj(x).view(batch, length, self.heads, self.head_dim))
        k = self.k_norm(self.k_proj(x).view(batch, length, self.kv_heads, self.head_dim))
        v = self.v_proj(x).view(batch, length, self.kv_heads, self.head_dim)
        q, k = rotated(q, *tables).transpose(1, 2), rotated(k, *tables).transpose(1, 2)
        groups = self.heads // self.kv_heads
        k, v = k.repeat_interleave(groups, dim=1), v.transpose(1, 2).repeat_interleave(groups, dim=1)
        if self.flash and length > 1 and mask is None:
            seen = functional.scaled_dot_product_attention(
                q, k, v, dropout_p=self.dropout if self.training else 0.0, is_causal=True
            )
        else:
            seen = self._by_hand(q, k, v, mask)
        out: torch.Tensor = self.resid_dropout(self.o_proj(seen.transpose(1, 2).reshape(batch, length, -1)))
        return out

    def _by_hand(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """The same with padding left out, which the fused kernel is not told of."""
        scores = q @ k.transpose(-2, -1) / self.head_dim**0.5
        length = scores.shape[-1]
        scores = scores + torch.full((length, length), float("-inf"), device=scores.device).triu(1)
        if mask is not None:
            scores = scores + (1.0 - mask[:, None, None].float()) * UNSEEN
        weights = self.attn_dropout(functional.softmax(scores.float(), dim=-1).type_as(v))
        seen: torch.Tensor = weights @ v
        return seen


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, config: MiniMindConfig, intermediate_size: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, intermediate_size, bias=False)
        self.down_proj = nn.Linear(intermediate_size, config.hidden_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, intermediate_size, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class MOEFeedForward(nn.Module):
    """Experts, of which each token goes to its best. With one per token its share is one whatever the gate says: the
    gate learns from the auxiliary loss alone."""

    def __init__(self, config: MiniMindConfig) -> None:
        super().__init__()
        self.config = config
        self.gate = nn.Linear(config.hidden_size, config.num_experts, bias=False)
        self.experts = nn.ModuleList(
            FeedForward(config, config.moe_intermediate_size) for _ in range(config.num_experts)
        )
        self.aux_loss: torch.Tensor | float = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x.reshape(-1, x.shape[-1])
        scores = functional.softmax(self.gate(tokens), dim=-1, dtype=torch.float32)
        shares, chosen = torch.topk(scores, self.config.num_experts_per_tok, dim=-1)
        if self.config.norm_topk_prob:
            shares = shares / (shares.sum(dim=-1, keepdim=True) + 1e-20)
        mixed = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):
            rows, places = torch.where(chosen == number)
            if len(rows):
                mixed = mixed.index_add(0, rows, (expert(tokens[rows]) * shares[rows, places, None]).to(mixed.dtype))
            elif self.training:  # an idle expert still has a gradient, of zeros: processes that average need one
                mixed = mixed + 0 * sum(parameter.sum() for parameter in expert.parameters())
        self.aux_loss = self._balance(scores, chosen) if self.training else 0.0
        return mixed.view_as(x)

    def _balance(self, scores: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """How unevenly the experts are loaded: their number times the product of load and mean score."""
        load = functional.one_hot(chosen, self.config.num_experts).float().mean(dim=(0, 1))
        balance: torch.Tensor = (load * scores.mean(dim=0)).sum() * self.config.num_experts
        return balance * self.config.router_aux_loss_coef


class MiniMindBlock(nn.Module):
    """One layer."""

    def __init__(self, config: MiniMindConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MOEFeedForward(config) if config.use_moe else FeedForward(config, config.intermediate_size)

    def forward(
        self, hidden: torch.Tensor, tables: tuple[torch.Tensor, torch.Tensor], mask: torch.Tensor | None
    ) -> torch.Tensor:
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), tables, mask)
        out: torch.Tensor = hidden + self.mlp(self.post_attention_layernorm(hidden))
        return out


class MiniMindModel(nn.Module):
    """Embeddings, layers and the last norm. The tables of rotations are in no checkpoint."""

    freqs_cos: torch.Tensor
    freqs_sin: torch.Tensor

    def __init__(self, config: MiniMindConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(MiniMindBlock(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        cos, sin = self._tables()
        self.register_buffer("freqs_cos", cos, persistent=False)
        self.register_buffer("freqs_sin", sin, persistent=False)

    def _tables(self) -> tuple[torch.Tensor, torch.Tensor]:
        return rotation_tables(self.config.head_dim, self.config.max_position_embeddings, self.config.rope_theta)

    def make_tables(self) -> None:
        for buffer, made in zip((self.freqs_cos, self.freqs_sin), self._tables(), strict=True):
            buffer.copy_(made)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The last hidden states, and the sum of the layers' auxiliary losses."""
        hidden = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        hidden = self.dropout(hidden)
        if self.freqs_cos[0, 0] == 0:  # materialised from meta, where buffers outside the checkpoint became zeros
            self.make_tables()
        tables = self.freqs_cos[: hidden.shape[1]], self.freqs_sin[: hidden.shape[1]]
        mask = None if attention_mask is None or bool((attention_mask == 1).all()) else attention_mask
        for layer in self.layers:
            hidden = layer(hidden, tables, mask)
        uneven = hidden.new_zeros(()).float()
        for layer in (one for one in self.modules() if isinstance(one, MOEFeedForward)):
            uneven = uneven + layer.aux_loss
        return self.norm(hidden), uneven


class MiniMindForCausalLM(PreTrainedModel, GenerationMixin):
    """The language model. Head and embeddings are one tensor."""

    config_class = MiniMindConfig
    base_model_prefix = ""
    model: Any
    lm_head: Any
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: MiniMindConfig) -> None:
        super().__init__(config)
        self.model = MiniMindModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.model.embed_tokens.weight = self.lm_head.weight
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Of what is not in the checkpoint. Newer libraries leave in buffers outside it whatever memory holds."""
        super()._init_weights(module)
        if isinstance(module, MiniMindModel) and module.freqs_cos.device.type != "meta":
            module.make_tables()

    def get_input_embeddings(self) -> nn.Module:
        embeddings: nn.Module = self.model.embed_tokens
        return embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.model.embed_tokens = value

    def get_output_embeddings(self) -> nn.Module:
        head: nn.Module = self.lm_head
        return head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.lm_head = new_embeddings

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **_kwargs: Any,
    ) -> MoeCausalLMOutputWithPast:
        hidden, aux_loss = self.model(input_ids=input_ids, attention_mask=attention_mask, inputs_embeds=inputs_embeds)
        logits = self.lm_head(hidden)
        loss = None if labels is None else shifted_loss(logits, labels)
        return MoeCausalLMOutputWithPast(loss=loss, aux_loss=aux_loss, logits=logits)

    def prepare_inputs_for_generation(self, input_ids: torch.Tensor, **kwargs: Any) -> dict[str, Any]:
        """Everything again for each new token: no keys and values are kept."""
        return {"input_ids": input_ids, "attention_mask": kwargs.get("attention_mask")}


def shifted_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Each position answers with the next label; -100 is not learned."""
    ahead, wanted = logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten()
    return functional.cross_entropy(ahead, wanted, ignore_index=-100)
