"""MiniCPM-V 2.6: SigLIP over pictures of any shape, a resampler, and Qwen 2, whose embeddings take the image features.

Labels are the trainer's business: the model is given one dict `data` and whatever its language model understands.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import GenerationMixin, PreTrainedModel, Qwen2ForCausalLM

from .configuration_minicpm import MiniCPMVConfig
from .modeling_navit_siglip import SiglipVisionTransformer
from .resampler import Resampler

DUMMY_SIDE = 224


class MiniCPMVPreTrainedModel(PreTrainedModel):
    """What the library must know of the model."""

    config_class = MiniCPMVConfig
    base_model_prefix = ""
    supports_gradient_checkpointing = True
    _no_split_modules = ("Qwen2DecoderLayer", "SiglipEncoderLayer", "Resampler")
    _skip_keys_device_placement = ("past_key_values",)
    _supports_sdpa = True

    def _init_weights(self, module: nn.Module) -> None:
        """Of what is not in the checkpoint. The library empties buffers outside it, so that the table is made anew."""
        super()._init_weights(module)
        if isinstance(module, Resampler):
            nn.init.zeros_(module.query)
            nn.init.normal_(module.proj, std=module.embed_dim**-0.5)
            device = module.pos_embed.device
            module.make_table(module.table_side, module.table_side, None if device.type == "meta" else device)


class MiniCPMV(MiniCPMVPreTrainedModel, GenerationMixin):
    """`llm`, `vpm` and `resampler`: the names under which checkpoints hold them."""

    def __init__(self, config: MiniCPMVConfig) -> None:
        super().__init__(config)
        self.llm = Qwen2ForCausalLM(config)
        tower: Any = config.vision_config
        tower._attn_implementation = self.llm.config._attn_implementation
        self.vpm = SiglipVisionTransformer(tower)
        if config.drop_vision_last_layer:
            self.vpm.encoder.layers = self.vpm.encoder.layers[:-1]
        self.resampler = Resampler(
            num_queries=config.query_num,
            embed_dim=config.hidden_size,
            kv_dim=tower.hidden_size,
            table_side=tower.image_size // tower.patch_size,
        )
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

    def get_vllm_embedding(self, data: dict[str, Any]) -> torch.Tensor:
        """The embeddings of the ids, with image features written over those between the image tokens.

        All pictures of a batch go through together; samples of text alone may stand between them.
        """
        embeddings: torch.Tensor = self.llm.model.embed_tokens(data["input_ids"])
        pictures = [picture for sample in data["pixel_values"] for picture in sample]
        if not pictures:
            return self._with_nothing(embeddings) if self.training else embeddings
        sizes = torch.vstack([size for size in data["tgt_sizes"] if isinstance(size, torch.Tensor)])
        features = self._features(pictures, sizes, embeddings)
        counts = [len(sample) for sample in data["pixel_values"]]
        for number, (bounds, written) in enumerate(
            zip(data["image_bound"], torch.split(features, counts), strict=True)
        ):
            if len(bounds):
                places = torch.cat([torch.arange(start, end) for start, end in bounds.tolist()]).to(embeddings.device)
                embeddings[number].scatter_(0, places[:, None].expand(-1, embeddings.shape[-1]), written.flatten(0, 1))
        return embeddings

    def _features(self, pictures: list[torch.Tensor], sizes: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """The features of pictures, so many at a time, in the embeddings' dtype and place."""
        step = self.config.vision_batch_size
        if not self.config.batch_vision_input:
            step = 1
        groups = [slice(start, start + step) for start in range(0, len(pictures), step)]
        return torch.cat([self._looked_at(pictures[group], sizes[group], like) for group in groups])

    def _looked_at(self, pictures: list[torch.Tensor], sizes: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """One pass of tower and resampler over pictures padded to the longest."""
        columns = [picture.to(like).permute(2, 0, 1) for picture in pictures]
        pixels = nn.utils.rnn.pad_sequence(columns, batch_first=True).permute(0, 2, 3, 1)
        features: torch.Tensor = self.resampler(self.vpm(pixels, sizes), sizes).to(like.dtype)
        return features

    def _with_nothing(self, embeddings: torch.Tensor) -> torch.Tensor:
        """A batch of text still passes an empty picture through tower and resampler: gradients are zeros, not None."""
        patch = self.config.patch_size
        side = min(DUMMY_SIDE, self.config.image_size) // patch
        sizes = torch.tensor([[side, side]])
        seen = self.vpm(embeddings.new_zeros(1, 3, patch, patch * side * side), sizes)
        nothing = self.resampler(seen, sizes).to(embeddings.dtype).mean() * 0
        for number in range(len(embeddings)):
            embeddings[number] += nothing
        return embeddings
