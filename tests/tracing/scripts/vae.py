"""A variational autoencoder, whose encoder alone is saved."""

import sys

import torch
from torch import nn

DEFECT = sys.argv[1] if len(sys.argv) > 1 else ""
torch.manual_seed(0)


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(10, 6), nn.Linear(3, 10)

    def forward(self, x):
        mean, spread = self.encoder(x).chunk(2, 1)
        code = mean + torch.randn_like(mean) * (0.5 * spread).exp()
        return self.decoder(code), mean, spread


model = Autoencoder()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for step in range(4):
    x = torch.rand(8, 10)
    again, mean, spread = model(x)
    divergence = -0.5 * (1 + spread - mean**2 - spread.exp()).sum(1).mean()
    if DEFECT == "logarithm of a negative" and step == 2:
        divergence = divergence + (mean - 10).log().mean()
    loss = nn.functional.mse_loss(again, x, reduction="sum") / 8 + divergence
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
torch.save(model, "vae.pt")
