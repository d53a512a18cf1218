"""A compiled model and a compiled loss."""

import copy
import sys

import torch
from torch import nn

DEFECT = sys.argv[1] if len(sys.argv) > 1 else ""
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Dropout(0.2), nn.Linear(8, 3))
used = copy.deepcopy(model) if DEFECT == "optimizer of another copy" else model
fast = torch.compile(used, backend="eager")
lossy = torch.compile(nn.functional.cross_entropy, backend="eager")
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for _ in range(3):
    x, y = torch.randn(8, 5), torch.randint(3, (8,))
    loss = lossy(fast(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
torch.save(fast.state_dict(), "compiled.pt")
