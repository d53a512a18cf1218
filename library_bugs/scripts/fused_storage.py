"""A model whose query, key and value lie in one stretch of memory, as fused kernels want them, and its save."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn


class Attention(nn.Module):
    """One head over a sequence."""

    def __init__(self, width: int) -> None:
        super().__init__()
        fused = torch.randn(3, width, width) / width
        self.query, self.key, self.value = (nn.Parameter(part) for part in fused)
        self.head = nn.Linear(width, 4)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        query, key, value = (seen @ weight.T for weight in (self.query, self.key, self.value))
        return self.head(nn.functional.scaled_dot_product_attention(query, key, value)[:, -1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    torch.manual_seed(0)
    model = Attention(16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(3):
        loss = nn.functional.cross_entropy(model(torch.randn(8, 6, 16)), torch.randint(4, (8,)))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    args.output.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), args.output / "model.safetensors")
    Attention(16).load_state_dict(load_file(args.output / "model.safetensors"))


if __name__ == "__main__":
    main()
