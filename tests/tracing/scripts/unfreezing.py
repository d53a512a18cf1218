"""A pretrained body under a new head: the head first, then the body's last layer with it at a smaller rate."""

import sys

import torch
from torch import nn

DEFECT = sys.argv[1] if len(sys.argv) > 1 else ""
torch.manual_seed(0)
body = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())
model = nn.Sequential(body, nn.Linear(8, 3))
body.requires_grad_(False)
optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1, momentum=0.9)
for step in range(5):
    if step == 2:
        body[2].requires_grad_(True)
        if DEFECT != "thawed for nobody":
            optimizer.add_param_group({"params": body[2].parameters(), "lr": 0.01})
    loss = nn.functional.cross_entropy(model(torch.randn(8, 6)), torch.randint(3, (8,)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
torch.save(model.state_dict(), "unfrozen.pt")
