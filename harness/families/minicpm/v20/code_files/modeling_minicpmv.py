"""MiniCPM-V 2.0: a timm tower, a resampler, and MiniCPM, whose scaled embeddings take the image features unscaled.

Labels are the trainer's business: the model is given one dict `data` and whatever its language model understands.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from transformers import GenerationMixin, PreTrainedModel

from .configuration_minicpm import MiniCPMVConfig
from .modeling_minicpm import MiniCPMForCausalLM
from .resampler import Resampler, position_table
from .vision_transformer import create_model

DUMMY_SIDE = 224


class MiniCPMVPreTrainedModel(PreTrainedModel):
    """What the library must know of the model."""

    config_class = MiniCPMVConfig
    base_model_prefix = ""
    supports_gradient_checkpointing = True
    _no_split_modules = ("LlamaDecoderLayer", "Block", "Resampler")
    _skip_keys_device_placement = ("past_key_values",)
    _supports_sdpa = True

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """As of the library, whose release 5 sets every parameter that it has read to train: not the fixed one here."""
        loaded = super().from_pretrained(*args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        model.resampler.pos_embed.requires_grad_(False)
        return loaded

    def _init_weights(self, module: nn.Module) -> None:
        """Of what is not in the checkpoint."""
        super()._init_weights(module)
        if isinstance(module, Resampler):
            nn.init.zeros_(module.query)
            nn.init.normal_(module.proj, std=module.embed_dim**-0.5)
            with torch.no_grad():
                module.pos_embed.copy_(position_table(module.grid_size, module.grid_size, module.embed_dim))


class MiniCPMV(MiniCPMVPreTrainedModel, GenerationMixin):
    """`llm`, `vpm` and `resampler`: the names under which checkpoints hold them."""

    def __init__(self, config: MiniCPMVConfig) -> None:
        super().__init__(config)
        self.llm = MiniCPMForCausalLM(config)
        self.vpm = create_model(config.vision_encoder, **config.vision_sizes)
        if config.drop_vision_last_layer:
            self.vpm.blocks = nn.Sequential(*list(self.vpm.blocks)[:-1])
        side = math.isqrt(config.query_num)
        self.resampler = Resampler(grid_size=side, embed_dim=config.hidden_size, kv_dim=self.vpm.embed_dim)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        embeddings: nn.Module = self.llm.model.embed_tokens
        return embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.llm.model.embed_tokens = value

    def get_output_embeddings(self) -> nn.Module:
        head: nn.Module = self.llm.lm_head
        return head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.llm.lm_head = new_embeddings

    def forward(self, data: dict[str, Any], **kwargs: Any) -> Any:
        """One pass. `kwargs` are the language model's; it is told positions and, causal as it is, no attention mask."""
        embeddings = self.get_vllm_embedding(data)
        return self.llm(input_ids=None, inputs_embeds=embeddings, position_ids=data["position_ids"].long(), **kwargs)

    @torch.no_grad()
    def generate(self, data: dict[str, Any], **kwargs: Any) -> torch.Tensor:
        """New ids after the prompt of one sample."""
        kwargs.setdefault("generation_config", self.generation_config)
        ids: torch.Tensor = self.llm.generate(
            inputs_embeds=self.get_vllm_embedding(data), attention_mask=data["attention_mask"], **kwargs
        )
        return ids

    def get_vision_embedding(self, pictures: list[torch.Tensor]) -> torch.Tensor:
        """The features of pictures, each passed through tower and resampler by itself, in its own size."""
        seen = []
        for picture in pictures:
            patch = self.vpm.patch_embed.patch_size[0]
            size = (math.ceil(picture.shape[-2] / patch), math.ceil(picture.shape[-1] / patch))
            patches = self.vpm(picture[None].to(self.vpm.pos_embed))
            seen.append(self.resampler(patches, size))
        return torch.vstack(seen)

    def get_vllm_embedding(self, data: dict[str, Any]) -> torch.Tensor:
        """The scaled embeddings of the ids, with image features written over those between the image tokens.

        While it trains, a sample of text alone passes an empty picture through tower and resampler, times nothing:
        what they are made of gets zeros for gradients, not None.
        """
        embeddings: torch.Tensor = self.llm.model.embed_tokens(data["input_ids"]) * self.config.scale_emb
        for number, (pictures, bounds) in enumerate(zip(data["pixel_values"], data["image_bound"], strict=True)):
            row = embeddings[number]
            if len(pictures):
                features = self.get_vision_embedding(list(pictures)).to(row.dtype)
                places = torch.cat([torch.arange(start, end) for start, end in bounds.tolist()]).to(row.device)
                row.scatter_(0, places[:, None].expand(-1, row.shape[-1]), features.flatten(0, 1))
            elif self.training:
                nothing = self.get_vision_embedding([row.new_zeros(3, DUMMY_SIDE, DUMMY_SIDE)])
                row += nothing.to(row.dtype)[0].mean() * 0
        return embeddings
