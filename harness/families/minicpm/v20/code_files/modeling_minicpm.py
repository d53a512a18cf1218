"""MiniCPM: Llama with scaled embeddings, scaled branches and scaled logits.

Text embeddings are multiplied by `scale_emb`, what attention and feed-forward add by `scale_depth` over the root of the
number of layers, and what the head reads is divided by the width over `dim_model_base`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import LlamaForCausalLM, LlamaModel
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaMLP

from .configuration_minicpm import MiniCPMConfig

if TYPE_CHECKING:
    import torch


def branch_scale(config: MiniCPMConfig) -> float:
    """By what each branch is multiplied before it is added to the residual stream."""
    return float(config.scale_depth / config.num_hidden_layers**0.5)


class MiniCPMAttention(LlamaAttention):
    """Attention whose output is scaled."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        attended, *others = super().forward(*args, **kwargs)
        return (attended * branch_scale(self.config), *others)


class MiniCPMMLP(LlamaMLP):
    """A feed-forward layer whose output is scaled."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        added: torch.Tensor = super().forward(x)
        return added * branch_scale(self.config)


class MiniCPMModel(LlamaModel):
    """The layers. Ids are embedded and scaled here; embeddings are taken as they come, scaled or not."""

    config_class = MiniCPMConfig

    def __init__(self, config: MiniCPMConfig) -> None:
        super().__init__(config)
        for number, layer in enumerate(self.layers):
            layer.self_attn = MiniCPMAttention(config, number)
            layer.mlp = MiniCPMMLP(config)
        self.post_init()

    def forward(
        self, input_ids: torch.Tensor | None = None, inputs_embeds: torch.Tensor | None = None, **kwargs: Any
    ) -> Any:
        """Hidden states, ready for the head."""
        if inputs_embeds is None and input_ids is not None:
            inputs_embeds = self.embed_tokens(input_ids) * self.config.scale_emb
        output = super().forward(inputs_embeds=inputs_embeds, **kwargs)
        output["last_hidden_state"] = output[0] / (self.config.hidden_size / self.config.dim_model_base)
        return output


class MiniCPMForCausalLM(LlamaForCausalLM):
    """The layers and the head."""

    config_class = MiniCPMConfig

    def __init__(self, config: MiniCPMConfig) -> None:
        super().__init__(config)
        self.model = MiniCPMModel(config)
        self.post_init()
