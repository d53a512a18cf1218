"""Adapters by hand around the linear layers of a frozen model; they alone are trained and saved."""

import sys

import torch
from torch import nn

DEFECT = sys.argv[1] if len(sys.argv) > 1 else ""
torch.manual_seed(0)


class Adapted(nn.Module):
    def __init__(self, base, rank=2):
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.randn(rank, base.in_features) * 0.1)
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x):
        return self.base(x) + x @ self.down.T @ self.up.T


def adapt(model):
    model.requires_grad_(False)
    for place in (0, 2):
        model[place] = Adapted(model[place])


model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 3))
early = torch.optim.AdamW(model.parameters(), lr=1e-2)
adapt(model)
trained = [p for p in model.parameters() if p.requires_grad]
optimizer = early if DEFECT == "optimizer before the adapter" else torch.optim.AdamW(trained, lr=1e-2)
for _ in range(4):
    x, y = torch.randn(8, 6), torch.randint(3, (8,))
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    model.zero_grad()
    print(loss.item())
torch.save({name: p for name, p in model.named_parameters() if p.requires_grad}, "adapter.pt")
