"""A vision-language model: a frozen tower in eval mode, a connector and a language model that train."""

import sys

import torch
from torch import nn

DEFECT = sys.argv[1] if len(sys.argv) > 1 else ""
torch.manual_seed(0)


class Seeing(nn.Module):
    def __init__(self):
        super().__init__()
        self.vision = nn.Sequential(nn.Linear(12, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 8))
        self.connector = nn.Linear(8, 8)
        self.language = nn.ModuleDict({"embed": nn.Embedding(11, 8), "head": nn.Linear(8, 11)})

    def forward(self, input_ids, pixel_values, labels):
        with torch.no_grad():
            seen = self.vision(pixel_values)
        hidden = torch.tanh(self.language["embed"](input_ids) + self.connector(seen)[:, None])
        logits = self.language["head"](hidden)
        return {"loss": nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten()), "logits": logits}


model = Seeing()
model.vision.requires_grad_(False)
trained = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(model.parameters() if DEFECT else trained, lr=1e-2, weight_decay=0.1)
for _ in range(4):
    model.train()
    model.vision.eval()
    ids = torch.randint(11, (4, 6))
    loss = model(input_ids=ids, pixel_values=torch.randn(4, 12), labels=ids.roll(-1, 1))["loss"]
    optimizer.zero_grad()
    loss.backward()
    if DEFECT == "tower decays":
        for parameter in model.vision.parameters():
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    print(loss.item())
torch.save(model.state_dict(), "seeing.pt")
