"""Four micro-batches to a step, each with a quarter of the loss."""

import sys

import torch
from torch import nn

DEFECT = sys.argv[1] if len(sys.argv) > 1 else ""
MICRO, SHARE = 4, 2 if DEFECT == "divided by another number" else 4
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, 4))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for number in range(12):
    x, y = torch.randn(2, 5), torch.randint(4, (2,))
    loss = nn.functional.cross_entropy(model(x), y)
    (loss / SHARE).backward()
    if (number + 1) % MICRO == 0:
        optimizer.step()
        optimizer.zero_grad()
    print(loss.item())
torch.save(model.state_dict(), "accumulated.pt")
