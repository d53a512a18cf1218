"""A model small enough to look through, with an adapter on two layers and a copy of its head."""

from collections.abc import Callable
from typing import Any

import peft
import pytest
import torch
from torch import nn

from harness.probes import Probed

WIDTH, WORDS = 8, 5


class Small(nn.Module):
    """Words and, if there is one, a picture; two layers; a head."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.first = nn.Linear(WIDTH, WIDTH)
        self.second = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, WORDS)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, input_ids: torch.Tensor, pixel_values: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        state = self.words(input_ids)
        if pixel_values is not None:
            state = state + pixel_values
        self.seen += 1
        return {"logits": self.head(torch.tanh(self.second(torch.tanh(self.first(state)))))}


def batches() -> dict[str, dict[str, torch.Tensor]]:
    ids = torch.arange(3)[None]
    return {"image": {"input_ids": ids, "pixel_values": torch.full((1, 3, WIDTH), 0.5)}, "text": {"input_ids": ids}}


@pytest.fixture
def base() -> Probed:
    """The model before there was an adapter."""
    torch.manual_seed(0)
    return Probed(Small(), batches())


@pytest.fixture
def trained() -> Callable[..., Probed]:
    """An adapted model after one step on every parameter that trains, with the values from before."""

    def make(method: Any = peft.LoraConfig, step: float = 0.1, **options: Any) -> Probed:
        torch.manual_seed(0)
        settings = {"target_modules": ["first", "second"], "modules_to_save": ["head"], **options}
        model = peft.get_peft_model(Small(), method(**settings))
        first = {path: parameter.detach().clone() for path, parameter in model.named_parameters()}
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter), alpha=step)
        return Probed(model, batches(), first=first)

    return make
