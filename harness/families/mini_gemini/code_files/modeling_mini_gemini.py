"""Mini-Gemini: a language model whose pictures are seen twice, coarsely by CLIP and finely by a ConvNeXt.

Each of CLIP's patches asks the finer features of its own place, and what it mines there is added to it. Labels are
shifted and the loss is computed by the language model. This file imports all that its own files need: releases before
transformers 5 copy those, and not what they import in turn.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import interpolate
from transformers import (
    GemmaForCausalLM,
    GemmaModel,
    LlamaForCausalLM,
    LlamaModel,
    MixtralForCausalLM,
    MixtralModel,
)

from .configuration_mini_gemini import MGMConfig, MGMGemmaConfig, MGMMixtralConfig
from .convnext import stages, stem
from .experts import ExpertsLayer
from .towers import CLIPVisionTower, OpenCLIPVisionTower

IMAGE_TOKEN_INDEX = -200  # in the ids, once for every feature of a picture: no row of the embeddings is its own


def _normed(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(before), nn.Linear(before, after))


class _Seeing:
    """What the inner model of a Mini-Gemini holds beside its layers, and the features of pictures."""

    def _add_vision(self: Any, config: Any) -> None:
        config.refuse_what_cannot_work()
        width, width_aux, hidden = config.mm_hidden_size, config.mm_hidden_size_aux, config.hidden_size
        self.vision_tower = CLIPVisionTower(config)
        self.mm_projector = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        channels, rate = config.vision_aux_channels, config.drop_path_rate if config.drop_path else 0.0
        self.vision_tower_aux = OpenCLIPVisionTower(stem(channels[0]), stages(channels, config.vision_aux_depths, rate))
        self.vlm_uni_query_projector = _normed(width, width)
        self.vlm_uni_aux_projector = _normed(width_aux, width)
        self.vlm_uni_val_projector = _normed(width_aux, width)

    def image_features(self: Any, images: torch.Tensor, images_aux: torch.Tensor) -> torch.Tensor:
        """(pictures, features, hidden) of pictures of shape (pictures, 3, side, side), or (pictures, views, 3, ...)."""
        grid, whole = self.config.image_grid, self.config.image_global
        views = images.shape[1] if images.dim() == 5 else 1
        if views != grid**2 + whole:
            raise ValueError(f"{views} views of each picture, where image_grid {grid} asks for {grid**2 + whole}")
        seen = self.vision_tower(images.flatten(0, 1) if images.dim() == 5 else images)
        fine = self.vision_tower_aux(images_aux)
        mined = self._mined(seen, self._fine_of_views(fine, grid, whole))
        by_picture = mined.view(len(images), views, *mined.shape[1:])
        if whole:  # it comes in last and goes out first
            by_picture = by_picture.roll(1, dims=1)
        features: torch.Tensor = self.mm_projector(by_picture.flatten(1, 2))
        return features

    def _fine_of_views(self: Any, fine: torch.Tensor, grid: int, whole: bool) -> torch.Tensor:
        """The finer features of each view: those of its part of the picture, and of all of it at a lower resolution."""
        rows = [row.chunk(grid, dim=3) for row in fine.chunk(grid, dim=2)]
        parts = [part for row in rows for part in row]
        if whole:
            small = interpolate(fine.float(), scale_factor=1 / grid, mode="bilinear", align_corners=False)
            parts.append(small.to(fine.dtype))
        return torch.stack(parts, dim=1).flatten(0, 1)

    def _mined(self: Any, patches: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """Each patch with what it found among the finer features of its own place."""
        side = self.config.patches_along_a_side
        cell = fine.shape[-1] // side
        places = fine.view(*fine.shape[:2], side, cell, side, cell)  # views, width, row, y, column, x
        places = places.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2)  # views, patches, cells, width
        places = places.contiguous()  # how torch multiplies what is not, and to which last bit, depends on the rest
        asked = self.vlm_uni_query_projector(patches)[:, :, None]
        keys, values = self.vlm_uni_aux_projector(places), self.vlm_uni_val_projector(places)
        weights = (asked @ keys.transpose(-1, -2) / keys.shape[-1] ** 0.5).softmax(-1)
        found: torch.Tensor = (weights @ values)[:, :, 0]
        return patches + found


class _Speaking:
    """The outer model: ids in which places are held for pictures, and the pictures."""

    def forward(
        self: Any,
        input_ids: torch.Tensor | None = None,
        images: torch.Tensor | None = None,
        images_aux: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """As the language model's, which is given embeddings where there are pictures."""
        if images is not None and inputs_embeds is None:
            inputs_embeds, input_ids = self.with_pictures(input_ids, images, images_aux), None
        return super().forward(input_ids=input_ids, inputs_embeds=inputs_embeds, **kwargs)  # type: ignore[misc]

    @torch.no_grad()
    def generate(
        self: Any,
        inputs: torch.Tensor,
        images: torch.Tensor | None = None,
        images_aux: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """New ids alone."""
        embeddings = self.get_input_embeddings()(inputs) if images is None else None
        if images is not None:
            embeddings = self.with_pictures(inputs, images, images_aux)
        ids: torch.Tensor = super().generate(inputs_embeds=embeddings, **kwargs)  # type: ignore[misc]
        return ids

    def with_pictures(self: Any, ids: torch.Tensor, images: torch.Tensor, images_aux: torch.Tensor) -> torch.Tensor:
        """The embeddings of the ids, features in the places held for them.

        A row without such places comes with a picture of zeros all the same, of which nothing is taken: in training its
        features are computed, so that gradients are zeros, not None.
        """
        held = ids == IMAGE_TOKEN_INDEX
        embedded: torch.Tensor = self.get_input_embeddings()(ids.masked_fill(held, 0))
        shown = self._shown(held, len(images))
        used = torch.ones_like(shown) if self.training else shown
        if not bool(used.any()):
            return embedded
        features = self.model.image_features(images[used], images_aux[used]).to(embedded.dtype)
        taken, idle = features[shown[used]], features[~shown[used]]
        written = torch.cat([taken.flatten(0, 1), idle.flatten(0, 1)[:0]])
        return embedded.masked_scatter(held[..., None], written)

    def _shown(self: Any, held: torch.Tensor, given: int) -> torch.Tensor:
        """By picture, whether places are held for it."""
        tokens = self.config.tokens_of_a_picture
        counts = held.sum(1).tolist()
        shown = [real for count in counts for real in ([True] * (count // tokens) or [False])]
        if any(count % tokens for count in counts) or len(shown) != given:
            raise ValueError(f"{given} pictures of {tokens} features each, and rows that hold places for {counts}")
        return torch.tensor(shown, device=held.device)


class MGMLlamaModel(_Seeing, LlamaModel):
    config_class = MGMConfig

    def __init__(self, config: MGMConfig) -> None:
        super().__init__(config)
        self._add_vision(config)


class MGMGemmaModel(_Seeing, GemmaModel):
    config_class = MGMGemmaConfig

    def __init__(self, config: MGMGemmaConfig) -> None:
        super().__init__(config)
        self._add_vision(config)


class MGMMixtralModel(_Seeing, MixtralModel):
    config_class = MGMMixtralConfig

    def __init__(self, config: MGMMixtralConfig) -> None:
        super().__init__(config)
        self.layers = nn.ModuleList(ExpertsLayer(config, number) for number in range(config.num_hidden_layers))
        self._add_vision(config)


class MGMLlamaForCausalLM(_Speaking, LlamaForCausalLM):
    config_class = MGMConfig

    def __init__(self, config: MGMConfig) -> None:
        super().__init__(config)
        self.model = MGMLlamaModel(config)
        self.post_init()


class MGMGemmaForCausalLM(_Speaking, GemmaForCausalLM):
    config_class = MGMGemmaConfig

    def __init__(self, config: MGMGemmaConfig) -> None:
        super().__init__(config)
        self.model = MGMGemmaModel(config)
        self.post_init()


class MGMMixtralForCausalLM(_Speaking, MixtralForCausalLM):
    config_class = MGMMixtralConfig

    def __init__(self, config: MGMMixtralConfig) -> None:
        super().__init__(config)
        self.model = MGMMixtralModel(config)
        self.post_init()
