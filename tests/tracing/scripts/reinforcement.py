"""An actor with a baseline, on a game of its own: rollouts without gradient, then some passes over them."""

import sys

import torch
from torch import nn

DEFECT = sys.argv[1] if len(sys.argv) > 1 else ""
torch.manual_seed(0)


class Actor(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.policy, self.value = nn.Linear(4, 16), nn.Linear(16, 3), nn.Linear(16, 1)

    def forward(self, state):
        hidden = torch.tanh(self.body(state))
        return self.policy(hidden), self.value(hidden).squeeze(-1)


actor = Actor()
optimizer = torch.optim.Adam(actor.parameters(), lr=3e-3)
for _ in range(3):
    states = torch.randn(16, 4)
    with torch.no_grad():
        logits, _ = actor(states)
    actions = torch.distributions.Categorical(logits=logits).sample()
    rewards = (actions == states[:, :3].argmax(1)).float()
    for _ in range(2):
        logits, values = actor(states)
        if DEFECT == "baseline cut off":
            values = values.detach()
        chosen = torch.distributions.Categorical(logits=logits)
        gained = (rewards - values).detach()
        loss = -(chosen.log_prob(actions) * gained).mean() - 0.01 * chosen.entropy().mean()
        loss = loss + 0.5 * nn.functional.mse_loss(values, rewards)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(actor.parameters(), 0.5)
        optimizer.step()
        print(loss.item())
torch.save(actor.state_dict(), "actor.pt")
