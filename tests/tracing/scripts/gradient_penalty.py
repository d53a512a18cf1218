"""A critic whose gradient is held to one, by a second derivative."""

import sys

import torch
from torch import nn

DEFECT = sys.argv[1] if len(sys.argv) > 1 else ""
torch.manual_seed(0)
critic = nn.Sequential(nn.Linear(4, 16), nn.Softplus(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.9))
for _ in range(4):
    real, fake = torch.randn(8, 4) + 1, torch.randn(8, 4)
    mixed = torch.lerp(real, fake, torch.rand(8, 1)).requires_grad_()
    (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    penalty = 10 * ((slope.norm(2, 1) - 1) ** 2).mean()
    optimizer.zero_grad()
    penalty.backward()
    if DEFECT == "zeroed between":
        optimizer.zero_grad()
    loss = critic(fake).mean() - critic(real).mean()
    loss.backward()
    optimizer.step()
    print(loss.item(), penalty.item())
torch.save(critic.state_dict(), "critic.pt")
