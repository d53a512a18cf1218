"""A model that is trained in parts: by an optimizer for each, by one that knows some, or a part in each process."""

import sys
import tempfile

import torch
import torch.multiprocessing
from torch import nn

KIND, _, DEFECT = (sys.argv[1] if len(sys.argv) > 1 else "in turn").partition(", ")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.base, self.middle, self.head = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.middle(self.base(x).relu()).relu())


def batches(count):
    chance = torch.Generator().manual_seed(1)
    for _ in range(count):
        x = torch.randn(8, 4, generator=chance)
        yield x, x[:, :3].argmax(1)


def in_turn():
    net = Net()
    optimizers = [torch.optim.SGD(part.parameters(), lr=0.1) for part in net.children()]
    for x, y in batches(7):
        for optimizer in optimizers:
            optimizer.zero_grad()
        scores = net.base(x)[:, :3] if DEFECT == "head not asked" else net(x)
        nn.functional.cross_entropy(scores, y).backward()
        for optimizer in optimizers:
            optimizer.step()


def in_a_list():
    net = Net()
    trained = nn.ModuleList([net.middle, net.head])
    optimizer = torch.optim.AdamW(trained.parameters() if DEFECT != "frozen decays" else net.parameters(), lr=0.1)
    net.base.requires_grad_(False)
    for x, y in batches(4):
        weigh = nn.CrossEntropyLoss()  # a module that is made while it trains
        optimizer.zero_grad()
        weigh(net(x), y).backward()
        if DEFECT == "frozen decays":
            net.base.weight.grad = torch.zeros_like(net.base.weight)
        optimizer.step()


def stage(rank, meeting):
    torch.distributed.init_process_group("gloo", f"file://{meeting}", rank=rank, world_size=2)
    torch.manual_seed(0)
    net = Net()
    mine = nn.ModuleDict({"base": net.base} if rank == 0 else {"middle": net.middle, "head": net.head})
    del net
    optimizer = torch.optim.SGD(mine.parameters(), lr=0.0 if DEFECT == "one stands still" and rank == 0 else 0.1)
    for x, y in batches(4):
        optimizer.zero_grad()
        hidden = mine["base"](x) if rank == 0 else torch.empty(8, 8)
        if rank == 0:
            torch.distributed.send(hidden.detach(), 1)
            back = torch.empty_like(hidden)
            torch.distributed.recv(back, 1)
            hidden.backward(back)
        else:
            torch.distributed.recv(hidden, 0)
            hidden.requires_grad_()
            nn.functional.cross_entropy(mine["head"](mine["middle"](hidden.relu()).relu()), y).backward()
            torch.distributed.send(hidden.grad, 0)
        optimizer.step()
    torch.distributed.destroy_process_group()


def layers_split(rank, meeting):
    from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

    torch.distributed.init_process_group("gloo", f"file://{meeting}", rank=rank, world_size=2)
    torch.manual_seed(0)
    mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (2,))
    whole = torch.distributed.tensor.Replicate()
    net = parallelize_module(Net(), mesh, {name: ColwiseParallel(output_layouts=whole) for name in ("base", "middle")})
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for x, y in batches(4):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    torch.manual_seed(0)
    if KIND in ("in a pipeline", "with layers split"):
        work = stage if KIND == "in a pipeline" else layers_split
        with tempfile.TemporaryDirectory() as place:
            torch.multiprocessing.start_processes(work, (f"{place}/meeting",), 2, start_method="fork")
    else:
        {"in turn": in_turn, "in a list": in_a_list}[KIND]()
