"""One small training with a switch for each defect that has no script of its own."""

import copy
import sys

import torch
from torch import nn

DEFECT, late, _ = (sys.argv[1] if len(sys.argv) > 1 else "").partition(", late")
STEPS, AT = (40, 33) if late else (4, 1)  # the late one is no step after which small models are looked at
torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower, self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x):
        hidden = torch.tanh(self.body(self.tower(x)))
        if DEFECT == "drops always":
            hidden = nn.functional.dropout(hidden, 0.5)
        if DEFECT == "counts its passes":
            self.passes = getattr(self, "passes", 0) + 1
            hidden = hidden * self.passes
        return self.head(hidden if DEFECT != "root of nought" else (hidden - hidden).norm(dim=1, keepdim=True) + hidden)


model = Net()
model.tower.requires_grad_(False)
if DEFECT == "in bf16":
    model.to(torch.bfloat16)
before = copy.deepcopy(model.state_dict())
trained = [
    p
    for name, p in model.named_parameters()
    if p.requires_grad and not (DEFECT == "bias left out" and name == "body.bias")
]
optimizer = torch.optim.AdamW(trained, lr=1e-6 if DEFECT == "in bf16" else 1e-2, weight_decay=0.0)
others = [torch.optim.SGD(model.head.parameters(), lr=1e-3)] if DEFECT == "in two optimizers" else []
if DEFECT == "little is loaded":
    model.load_state_dict({**dict.fromkeys("abcde", torch.zeros(1)), "body.bias": before["body.bias"]}, strict=False)
for step in range(STEPS):
    x, y = torch.randn(8, 4, dtype=model.head.weight.dtype), torch.randint(3, (8,))
    loss = nn.functional.cross_entropy(model(x), y)
    if DEFECT == "scheduled first" and step == 1:
        schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
    if DEFECT == "scheduled first" and step > 1:
        schedule.step()
    loss.backward()
    if DEFECT == "gradients are no numbers" and (step == AT or not late):
        model.body.bias.grad[0] = float("inf")
    if DEFECT == "last gradient is no number" and step == STEPS - 1:
        model.body.bias.grad[0] = float("inf")
    for one in (optimizer, *others):
        one.step()
        one.zero_grad()
    with torch.no_grad():
        if DEFECT == "tower written into" and step == AT:
            model.tower.bias.add_(1.0)
        if DEFECT == "put back":
            model.head.weight.copy_(before["head.weight"])
    print(loss.item())
state = model.state_dict()
if DEFECT == "half a layer saved":
    del state["head.bias"]
if DEFECT == "no head saved":
    state = {name: value for name, value in state.items() if not name.startswith("head")}
torch.save(state, "model.pt")
