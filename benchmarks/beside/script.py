"""A classifier of sequences, as somebody might write it: steps of some twenty milliseconds. `STEPS_FILE` gets the
seconds of each step; with `DEFECT` set no gradient is put to zero."""

import json
import os
import time
from pathlib import Path

import torch
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(128, 4, 256, dropout=0.0, batch_first=True)
        self.embed = nn.Embedding(100, 128)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(128, 10)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.body(self.embed(ids)).mean(1))
        return scores


model = Classifier()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
seconds = []
for _ in range(12):
    ids, labels = torch.randint(100, (16, 32)), torch.randint(10, (16,))
    started = time.perf_counter()
    if not os.environ.get("DEFECT"):
        optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(ids), labels)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    seconds.append(time.perf_counter() - started)
Path(os.environ["STEPS_FILE"]).write_text(json.dumps(seconds))
