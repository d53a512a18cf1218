"""Tensors that an optimizer was given and that belong to no module: a picture that is fitted, a line through points."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class Tensors(nn.Module):
    """A place for them, so that they are followed as the parameters of a model are. Nobody calls it."""

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self._parameters.update({str(place): tensor for place, tensor in enumerate(tensors)})  # type: ignore[misc]
