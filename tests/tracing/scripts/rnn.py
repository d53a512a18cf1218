"""A recurrent language model with tied embeddings, clipped gradients and a rate that warms up."""

import sys

import torch
from torch import nn

DEFECT = sys.argv[1] if len(sys.argv) > 1 else ""
torch.manual_seed(0)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.core = nn.Embedding(12, 8), nn.LSTM(8, 8, batch_first=True)
        self.head = nn.Linear(8, 12, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(self.core(self.embed(ids))[0])


model = Recurrent()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 2))
for _ in range(5):
    ids = torch.randint(12, (4, 9))
    loss = nn.functional.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    loss.backward()
    if DEFECT == "clipped too late":
        optimizer.step()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    else:
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    schedule.step()
    optimizer.zero_grad()
    print(loss.item())
torch.save(model.state_dict(), "rnn.pt")
