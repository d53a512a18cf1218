"""A classifier that begins with the body of an earlier one; its head is new."""

import sys

import torch
from torch import nn

DEFECT = sys.argv[1] if len(sys.argv) > 1 else ""
torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 10), nn.ReLU())
        self.head = nn.Linear(10, classes)

    def forward(self, x):
        return self.head(self.body(x))


earlier = {name: value for name, value in Net(7).state_dict().items() if not name.startswith("head")}
if DEFECT == "other names":
    earlier = {f"module.{name}": value for name, value in earlier.items()}
model = Net(3)
model.load_state_dict(earlier, strict=False)
optimizer = torch.optim.SGD(
    [{"params": model.head.parameters(), "lr": 0.1}, {"params": model.body.parameters()}], lr=0.01
)
for _ in range(4):
    x, y = torch.randn(8, 6), torch.randint(3, (8,))
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
torch.save(model.state_dict(), "finetuned.pt")
