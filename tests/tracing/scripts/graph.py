"""Message passing on a graph of which a few nodes are labelled, the whole graph at each step."""

import sys

import torch
from torch import nn

DEFECT = sys.argv[1] if len(sys.argv) > 1 else ""
torch.manual_seed(0)
nodes = torch.randn(20, 6)
edges = torch.randint(20, (2, 60))
adjacency = torch.sparse_coo_tensor(edges, torch.ones(60), (20, 20)).coalesce()
labels = torch.randint(3, (20,))
labels[8 if DEFECT != "every label masked" else 0 :] = -100


class Graph(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x, neighbours):
        x = torch.relu(torch.sparse.mm(neighbours, self.first(x)))
        return torch.sparse.mm(neighbours, self.second(x))


model = Graph()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for _ in range(4):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(nodes, adjacency), labels, reduction="sum")
    loss.backward()
    optimizer.step()
    print(loss.item())
