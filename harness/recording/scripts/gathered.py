"""Whole parameters that a model is given to save of which this process has a part: the script has gathered them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from harness.recording.scripts.state_dicts import places
from harness.recording.shards import part_of

if TYPE_CHECKING:
    from harness.recording.found import FoundModel


class Gathered:
    """They by path; which are not what the model holds, by the stretch of each that lies here; of which none does."""

    def __init__(self, model: FoundModel, state: Mapping[str, Any]) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self.unlike: list[str] = []
        self.elsewhere: list[str] = []
        for index, tensor in places(model, state):
            self.tensors[model.paths[index]] = tensor
            part = part_of(model.parameters[index])
            mine = part().to(tensor.dtype)
            if not mine.numel():
                self.elsewhere.append(model.paths[index])
            if not torch.equal(
                tensor.detach().reshape(-1)[part.start : part.start + mine.numel()].to(mine.device), mine
            ):
                self.unlike.append(model.paths[index])
