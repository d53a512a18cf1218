"""A convolutional classifier with batch norm and dropout, trained and evaluated in epochs."""

import sys

import torch
from torch import nn

DEFECT = sys.argv[1] if len(sys.argv) > 1 else ""
torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.1), nn.Flatten(), nn.Linear(4 * 36, 5)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
images, labels = torch.randn(24, 3, 8, 8), torch.randint(5, (24,))
for _ in range(2):
    model.train()
    for start in range(0, 24, 8):
        if DEFECT != "nothing zeroed":
            optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images[start : start + 8]), labels[start : start + 8])
        loss.backward()
        optimizer.step()
        print(loss.item())
    schedule.step()
    model.eval()
    with torch.no_grad():
        print((model(images).argmax(1) == labels).float().mean().item())
torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, "classifier.pt")
