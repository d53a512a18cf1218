"""Trainings that do what a recorder may stumble over; each prints what it has to, and ends by itself."""

import contextlib
import copy
import os
import pickle
import sys
import threading

import torch
from torch import nn

WAY = sys.argv[1]
torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 2)

    def forward(self, x):
        return self.body(x)


def train(model, steps=3, optimizer=None):
    optimizer = optimizer or torch.optim.SGD([p for p in model.parameters() if not p.is_meta], lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(torch.ones(2, 4)).pow(2).sum()
        loss.backward()
        optimizer.step()
        print(round(loss.item(), 5), flush=True)
    return optimizer


model = Net()
if WAY == "meta":
    model.unused = nn.Linear(2, 2, device="meta")
    train(model)
elif WAY == "lazy":
    model.unused = nn.LazyLinear(2)
    train(model, optimizer=torch.optim.SGD(model.body.parameters(), lr=0.1))
elif WAY.startswith("sharded"):
    from torch.distributed.fsdp import fully_shard

    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (1,))
    if WAY == "sharded":
        fully_shard(model, mesh=mesh)
    else:
        for name, value in list(model.body.named_parameters()):
            columns = [torch.distributed.tensor.Shard(value.dim() - 1)]
            setattr(model.body, name, nn.Parameter(torch.distributed.tensor.distribute_tensor(value, mesh, columns)))
        model.forward = lambda x, of=model.forward: of(torch.distributed.tensor.distribute_tensor(x, mesh)).to_local()
    train(model)
    torch.distributed.destroy_process_group()
elif WAY == "unpicklable":
    model.body.weight.owner = lambda: None
    model.stream = sys.stdout
    train(model)
elif WAY == "copied":
    optimizer = train(model, 1)
    twin = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    assert not twin._forward_hooks
    assert not twin._forward_pre_hooks
    assert not twin._forward_pre_hooks_with_kwargs
    train(model, 2, optimizer)
elif WAY == "fork":
    train(model, 1)
    child = os.fork()
    if child == 0:
        train(Net(), 5)
        os._exit(0)
    os.waitpid(child, 0)
    train(model, 1)
elif WAY == "forked worker":
    loader = torch.utils.data.DataLoader(torch.ones(8, 4), batch_size=4, num_workers=2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for batch in loader:
        model(batch).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
elif WAY == "closed stdout":
    train(model)
    sys.stdout.close()
    os.close(1)
elif WAY == "sparse":
    table = nn.Embedding(6, 3, sparse=True)
    optimizer = torch.optim.SparseAdam(table.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        table(torch.tensor([1, 2])).pow(2).sum().backward()
        optimizer.step()
elif WAY == "complex":
    table = nn.ParameterList([nn.Parameter(torch.ones(3, dtype=torch.complex64))])
    optimizer = torch.optim.SGD(table.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        table[0].abs().sum().backward()
        optimizer.step()
elif WAY == "raises in forward":
    with contextlib.suppress(ValueError):
        model.register_forward_hook(lambda *_: (_ for _ in ()).throw(ValueError("mine")))
        train(model)
    print("went on")
    model._forward_hooks.clear()
    train(model)
elif WAY == "catches all":
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(50):
        try:
            train(model, 1, optimizer)
        except BaseException:
            print("caught", step, flush=True)
elif WAY == "cleans up":
    try:
        train(model, 50)
    finally:
        print("cleaned up", flush=True)
elif WAY == "in a thread":
    thread = threading.Thread(target=train, args=(model, 50))
    thread.start()
    thread.join()
    print("joined", flush=True)
elif WAY == "exits":
    train(model)
    sys.exit(5)
elif WAY == "raises":
    train(model)
    raise RuntimeError("of my own")
elif WAY == "in a stage of its own":
    train(model)
    second = Net()
    train(second, 2)
else:
    train(model, 6)
