"""An iterable dataset that two workers read, each its own half."""

import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

DEFECT = sys.argv[1] if len(sys.argv) > 1 else ""


class Numbers(IterableDataset):
    def __iter__(self):
        worker = get_worker_info()
        first, stride = (0, 1) if DEFECT == "nothing shared out" else (worker.id, worker.num_workers)
        for number in range(first, 32, stride):
            yield torch.full((3,), number / 32.0), torch.tensor([number / 16.0])


if __name__ == "__main__":
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for x, y in DataLoader(Numbers(), batch_size=4, num_workers=2):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        print(loss.item())
    torch.save(model.state_dict(), "streamed.pt")
