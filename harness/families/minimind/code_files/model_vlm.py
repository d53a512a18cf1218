"""MiniMind-V 3: MiniMind's language model, a SigLIP2 encoder that stays frozen, and a small projector between them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import SiglipVisionConfig, SiglipVisionModel
from transformers.modeling_outputs import MoeCausalLMOutputWithPast

from .model_minimind import MiniMindConfig, MiniMindForCausalLM, shifted_loss


class VLMConfig(MiniMindConfig):
    """MiniMind's sizes, and the encoder's. Without an encoder there is none, and nothing is said."""

    model_type = "minimind-v"

    def __init__(
        self,
        vision_config: dict[str, Any] | None = None,
        image_token_id: int = 12,
        image_token_len: int = 64,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vision_config = vision_config
        self.image_token_id = image_token_id
        self.image_token_len = image_token_len


class MMVisionProjector(nn.Module):
    """From the encoder's features to the embeddings' space."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.LayerNorm(features), nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, hidden)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        projected: torch.Tensor = self.mlp(features)
        return projected


class MiniMindVLM(MiniMindForCausalLM):
    """The language model that looks. Where a run of image tokens stands, features are put in place of embeddings."""

    config_class = VLMConfig

    def __init__(self, config: VLMConfig) -> None:
        super().__init__(config)
        self.vision_encoder = (
            SiglipVisionModel(SiglipVisionConfig(**config.vision_config)) if config.vision_config else None
        )
        features = (config.vision_config or {}).get("hidden_size", config.hidden_size)
        self.vision_proj = MMVisionProjector(features, config.hidden_size)
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **_kwargs: Any,
    ) -> MoeCausalLMOutputWithPast:
        embeddings = self.model.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        if pixel_values is not None and self.vision_encoder is not None and input_ids is not None:
            with torch.no_grad():
                seen = self.vision_encoder(pixel_values=pixel_values).last_hidden_state
            embeddings = self._with_features(input_ids, embeddings, self.vision_proj(seen))
        hidden, aux_loss = self.model(attention_mask=attention_mask, inputs_embeds=embeddings)
        if self.training:  # so that a batch without pictures has gradients for the projector too, of zeros
            aux_loss = aux_loss + 0 * sum(parameter.sum() for parameter in self.vision_proj.parameters())
        logits = self.lm_head(hidden)
        loss = None if labels is None else shifted_loss(logits, labels)
        return MoeCausalLMOutputWithPast(loss=loss, aux_loss=aux_loss, logits=logits)

    def _with_features(self, ids: torch.Tensor, embeddings: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Each run of image tokens gets the next picture's features, as many as the run is long."""
        rows = list(embeddings)
        pictures = iter(features.to(embeddings.dtype))
        for number in range(len(rows)):
            for start, end in runs(ids[number] == self.config.image_token_id):
                for first in range(start, end, self.config.image_token_len):
                    last = min(first + self.config.image_token_len, end)
                    rows[number] = torch.cat(
                        (rows[number][:first], next(pictures)[: last - first], rows[number][last:])
                    )
        return torch.stack(rows)

    def prepare_inputs_for_generation(self, input_ids: torch.Tensor, **kwargs: Any) -> dict[str, Any]:
        given = super().prepare_inputs_for_generation(input_ids, **kwargs)
        return {**given, "pixel_values": kwargs.get("pixel_values")}


def runs(places: torch.Tensor) -> list[tuple[int, int]]:
    """The ranges in which a row of booleans is true."""
    edges = torch.diff(places.int(), prepend=places.new_zeros(1).int(), append=places.new_zeros(1).int())
    return list(zip((edges == 1).nonzero().flatten().tolist(), (edges == -1).nonzero().flatten().tolist(), strict=True))
