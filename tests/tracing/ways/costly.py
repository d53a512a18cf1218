"""A training of token ids with a switch for what makes it cost more."""

import sys
import time

import torch
from torch import nn

COSTLY = sys.argv[1] if len(sys.argv) > 1 else ""
torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(50, 8), nn.Linear(8, 50)

    def forward(self, input_ids, labels):
        return {"loss": nn.functional.cross_entropy(self.head(self.embed(input_ids)).flatten(0, 1), labels.flatten())}


model = Net()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
kept = []
for _ in range(12):
    ids = torch.randint(50, (2, 8))
    model(input_ids=ids, labels=ids)["loss"].backward()
    if COSTLY == "sleeps":
        time.sleep(0.1)
    if COSTLY == "keeps":
        kept.append(torch.ones(25 * 2**18))
    optimizer.step()
    optimizer.zero_grad()
