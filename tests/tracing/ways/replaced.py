"""Trains, puts itself in its own place by exec, and trains again on what a spawned worker reads."""

import os
import sys

import torch
from torch import nn


class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, index):
        return torch.full((3,), float(index)), index % 2


def train():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    again = "again" in sys.argv
    spawned = {"num_workers": 1, "multiprocessing_context": "spawn"} if again else {}
    for x, y in torch.utils.data.DataLoader(Numbers(), batch_size=4, **spawned):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    if not again:
        os.execv(sys.executable, [sys.executable, __file__, "again"])


if __name__ == "__main__":
    train()
