"""A model that is trained as from_pretrained would give it: in eval mode."""

import sys

import torch
from torch import nn

WORDS = sys.argv[1] if len(sys.argv) > 1 else ""
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3)).train("train mode" in WORDS)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)


def batch():
    x = torch.randn(8, 4)
    return x, x[:, :3].argmax(1)


for _step in range(4):
    if "looks" in WORDS:
        for _ in range(2):
            net(batch()[0])
    if "not zeroed" not in WORDS:
        optimizer.zero_grad()
    if "pairs" in WORDS:
        pair = [batch(), batch()]
        sum(nn.functional.cross_entropy(net(x), y) for x, y in pair).backward()
    for _ in range(0 if "pairs" in WORDS else 2):
        x, y = batch()
        (nn.functional.cross_entropy(net(x), y) / (2 if "not divided" not in WORDS else 1)).backward()
    optimizer.step()
