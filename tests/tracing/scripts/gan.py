"""Two networks against each other, an optimizer each, none of which steps the other's."""

import sys

import torch
from torch import nn

DEFECT = sys.argv[1] if len(sys.argv) > 1 else ""
torch.manual_seed(0)
generator = nn.Sequential(nn.Linear(4, 16), nn.LeakyReLU(0.2), nn.Linear(16, 6))
critic = nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
of_generator = torch.optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.999))
of_critic = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.5, 0.999))
judge = nn.BCEWithLogitsLoss()
ones, zeros = torch.ones(8, 1), torch.zeros(8, 1)
for _ in range(4):
    real, noise = torch.randn(8, 6), torch.randn(8, 4)
    if DEFECT != "critic not zeroed":
        critic.zero_grad()
    judge(critic(real), ones).backward()
    fake = generator(noise)
    judge(critic(fake.detach()), zeros).backward()
    of_critic.step()
    generator.zero_grad()
    loss = judge(critic(fake), ones)
    loss.backward()
    of_generator.step()
    print(loss.item())
torch.save(generator.state_dict(), "generator.pt")
