"""A loop under Accelerate that saves its state and goes on from it; the head of the model is its embedding."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.utils.data import DataLoader


class Language(nn.Module):
    """The next token after each."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(64, 32)
        self.mixed = nn.GRU(32, 32, batch_first=True)
        self.head = nn.Linear(32, 64, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.mixed(self.embed(ids))[0])


def train(state: str, going_on: bool) -> Any:
    accelerator = Accelerator(cpu=True)
    torch.manual_seed(0)
    model = Language()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model, optimizer, batches = accelerator.prepare(model, optimizer, DataLoader(torch.randint(64, (8, 12)), 4))
    if going_on:
        accelerator.load_state(state)
    for ids in batches:
        loss = nn.functional.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
    accelerator.save_state(state)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", required=True)
    args = parser.parse_args()
    train(args.output, going_on=False)
    train(args.output, going_on=True)


if __name__ == "__main__":
    main()
