"""Healthy trainings of kinds that are easily taken for something else, a few with a switch for what is not healthy."""

import copy
import sys

import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

WAY, _, DEFECT = sys.argv[1].partition(": ")
torch.manual_seed(0)


class Perturbed(torch.optim.Optimizer):
    """A step from where the gradient leads uphill, by another optimizer: as sharpness-aware minimisation does."""

    def __init__(self, params):
        super().__init__(params, {"lr": 0.1})
        self.inner = torch.optim.SGD(self.param_groups, lr=0.1, momentum=0.9)
        self.param_groups = self.inner.param_groups

    @torch.no_grad()
    def climb(self):
        self.before = [(p, p.clone()) for group in self.param_groups for p in group["params"]]
        for p, _ in self.before:
            p.add_(p.grad, alpha=0.05)
        self.zero_grad()

    @torch.no_grad()
    def step(self, closure=None):
        if closure is not None:
            self.climb()
            torch.enable_grad()(closure)()
        for p, value in self.before:
            p.data = value
        self.inner.step()
        self.zero_grad()


class Adapted(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base, self.down = base, nn.Parameter(torch.randn(2, base.in_features) * 0.1)
        self.up = nn.Parameter(torch.zeros(base.out_features, 2))

    def forward(self, x):
        return self.base(x) + x @ self.down.T @ self.up.T


class Contrasted(nn.Module):
    """Keys come from an average of the encoder, which a forward pass keeps, and go into a queue."""

    def __init__(self):
        super().__init__()
        self.query = nn.Linear(6, 4)
        self.key = copy.deepcopy(self.query).requires_grad_(False)
        self.register_buffer("queue", torch.randn(8, 4))

    def forward(self, x):
        with torch.no_grad():
            for average, now in zip(self.key.parameters(), self.query.parameters(), strict=True):
                average.lerp_(now, 0.1)
            keys = self.key(x)
        scores = torch.cat([(self.query(x) * keys).sum(1, keepdim=True), self.query(x) @ self.queue.clone().T], 1)
        self.queue.copy_(torch.cat([keys, self.queue])[:8])
        return scores


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.scale = nn.Linear(6, 3), nn.Parameter(torch.tensor(4.6052))

    def forward(self, x):
        return self.scale.exp() * nn.functional.normalize(self.inner(x), dim=-1)


class Remembering(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head, self.state = nn.LSTM(6, 8, batch_first=True), nn.Linear(8, 3), None

    def forward(self, x):
        seen, state = self.cell(x[:, None], self.state)
        self.state = tuple(part.detach() for part in state)
        return self.head(seen[:, 0])


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.base, self.delta = nn.Linear(6, 3).requires_grad_(False), nn.ParameterDict({"default": torch.zeros(6)})
        self.head = nn.Linear(3, 3)

    def forward(self, x):
        return self.head(self.base(x + self.delta["default"]))


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.now = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
        self.target = copy.deepcopy(self.now).requires_grad_(False)

    def forward(self, x):
        return self.now(x)


class Drawn(torch.utils.data.Dataset):
    def __len__(self):
        return 32

    def __getitem__(self, place):
        return torch.randn(6), int(torch.randint(3, ()))


class Read(torch.utils.data.IterableDataset):
    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        for number in range(worker.id, 32, worker.num_workers):
            yield torch.full((6,), float(number)), number % 3


def net():
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def loss_of(model, size=1.0):
    return cross_entropy(model(torch.randn(8, 6) * size), torch.randint(3, (8,)))


def train(model, optimizer, steps=4):
    for _ in range(steps):
        loss = loss_of(model)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(loss.item())


def over(loader, model, epochs):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            loss = cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            print(loss.item())


model = net()
if WAY == "two gradients a step":
    optimizer = Perturbed(model.parameters())
    for _ in range(4):
        x, y = torch.randn(8, 6), torch.randint(3, (8,))
        for last in (False, True):
            loss = cross_entropy(model(x), y)
            loss.backward()
            optimizer.step() if last else optimizer.climb()
        print(loss.item())
elif WAY == "two gradients in a closure":
    optimizer = Perturbed(model.parameters())
    for _ in range(4):
        x, y = torch.randn(8, 6), torch.randint(3, (8,))

        def closure(x=x, y=y):
            loss = cross_entropy(model(x), y)
            loss.backward()
            return loss

        print(closure().item())
        optimizer.step(closure)
elif WAY == "gradients of each task":
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(4):
        output, found = model(torch.randn(8, 6)), []
        for loss in (cross_entropy(output, torch.randint(3, (8,))), output.pow(2).mean()):
            optimizer.zero_grad()
            loss.backward(retain_graph=True)
            found.append([p.grad.clone() for p in model.parameters()])
        for p, *several in zip(model.parameters(), *found, strict=True):
            p.grad = torch.stack(several).mean(0)
        optimizer.step()
        print(loss.item())
elif WAY == "a step given up":
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(6):
        loss = loss_of(model, 100.0 if step == 3 else 1.0)
        optimizer.zero_grad()
        loss.backward()
        if nn.utils.clip_grad_norm_(model.parameters(), 1.0) > 5:
            optimizer.zero_grad()
            continue
        optimizer.step()
        print(loss.item())
elif WAY == "zeroed in turn":
    actor, critic = nn.Linear(6, 3), nn.Linear(6, 1)
    optimizers = [torch.optim.Adam(one.parameters(), lr=1e-2) for one in (actor, critic)]
    for _ in range(4):
        x = torch.randn(8, 6)
        for optimizer, loss in zip(optimizers, (loss_of(actor), mse_loss(critic(x), x[:, :1])), strict=True):
            optimizer.zero_grad()
            loss.backward()
            print(loss.item())
        for optimizer in optimizers:
            optimizer.step()
elif WAY == "a step for each parameter":
    optimizers = {p: torch.optim.Adam([p], lr=1e-2) for p in model.parameters()}

    def applied(p):
        optimizers[p].step()
        optimizers[p].zero_grad()

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(applied)
    for _ in range(4):
        loss = loss_of(model)
        loss.backward()
        print(loss.item())
elif WAY == "targets now and then":
    agent = Agent()
    optimizer = torch.optim.Adam(agent.now.parameters(), lr=1e-2)
    for step in range(8):
        train(agent, optimizer, 1)
        if step == 3:
            agent.target.load_state_dict(agent.now.state_dict())
elif WAY == "averaged by a hook":
    agent = Agent()
    optimizer = torch.optim.SGD(agent.now.parameters(), lr=0.1)

    @torch.no_grad()
    def averaged(*_):
        for average, now in zip(agent.target.parameters(), agent.now.parameters(), strict=True):
            average.lerp_(now, 0.1)

    optimizer.register_step_post_hook(averaged)
    train(agent, optimizer)
elif WAY == "a queue":
    model = Contrasted()
    optimizer = torch.optim.SGD(model.query.parameters(), lr=0.03)
    for _ in range(4):
        loss = cross_entropy(model(torch.randn(4, 6)), torch.zeros(4, dtype=torch.long))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(loss.item())
elif WAY == "the reference is kept":
    reference = copy.deepcopy(model).requires_grad_(False)
    train(model, torch.optim.Adam(model.parameters(), lr=1e-2))
    torch.save(model.state_dict(), "trained.pt")
    torch.save(reference.state_dict(), "reference.pt")
elif WAY == "scripted":
    train(model, torch.optim.Adam(model.parameters(), lr=1e-2))
    print(torch.jit.script(model).code)
elif WAY == "tensors alone":
    line, offset = torch.randn(3, requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([line, offset], lr=0.1)
    for _ in range(4):
        x = torch.randn(8, 3)
        loss = mse_loss(x @ line + (offset if DEFECT != "offset left out" else 0.0), x.sum(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(loss.item())
elif WAY == "of a copy":
    torch.save(model, "whole.pt")
    for one in (copy.deepcopy(model), torch.load("whole.pt", weights_only=False)):
        train(one, torch.optim.Adam(one.parameters(), lr=1e-2))
elif WAY == "one after the other":
    for _ in range(12):
        model = net()
        train(model, torch.optim.Adam(model.parameters(), lr=1e-2), 2)
elif WAY == "workers that stay":
    over(torch.utils.data.DataLoader(Read(), batch_size=4, num_workers=2, persistent_workers=True), model, epochs=3)
elif WAY == "workers that draw":
    alike = (lambda _: torch.manual_seed(0)) if DEFECT else None
    over(torch.utils.data.DataLoader(Drawn(), batch_size=4, num_workers=2, worker_init_fn=alike), model, epochs=1)
elif WAY == "clamped":
    model = Scaled()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(4):
        x = torch.randn(8, 6)
        loss = cross_entropy(model(x), model(x).argmax(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.scale.data.clamp_(max=4.6052)
        print(loss.item())
elif WAY == "a state that goes on":
    model = Remembering()
    train(model, torch.optim.Adam(model.parameters(), lr=1e-2))
    print(model.state[0].sum().item())
elif WAY == "attacked":
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(4):
        x, y = torch.randn(8, 6), torch.randint(3, (8,))
        attack = torch.zeros_like(x, requires_grad=True)
        for _ in range(2):
            cross_entropy(model(x + attack), y).backward()
            attack.data.add_(attack.grad.sign(), alpha=0.05)
        optimizer.zero_grad()
        loss = cross_entropy(model(x + attack.detach()), y)
        loss.backward()
        optimizer.step()
        print(loss.item())
elif WAY == "two losses":
    heads = nn.Linear(3, 3), nn.Linear(3, 4)
    optimizer = torch.optim.Adam([p for one in (model, *heads) for p in one.parameters()], lr=1e-2)
    for _ in range(4):
        seen = model(torch.randn(8, 6))
        optimizer.zero_grad()
        for head in heads:
            loss = cross_entropy(head(seen), torch.randint(3, (8,)))
            loss.backward(retain_graph=True)
            print(loss.item())
        optimizer.step()
elif WAY == "another dtype later":
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.double()
    for step in range(4):
        if step == 2:
            model.float()
        loss = cross_entropy(model(torch.randn(8, 6, dtype=model[0].weight.dtype)), torch.randint(3, (8,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(loss.item())
elif WAY == "parametrised later":
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    nn.utils.parametrize.register_parametrization(model[0], "weight", nn.Dropout(0.1))
    train(model, optimizer)
    torch.save(model.state_dict(), "parametrised.pt")
elif WAY == "a mean over a step":
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for sizes in ((4, 8, 4), (8, 8, 8), (2, 6, 4), (4, 4, 4)):
        for size in sizes:
            x, y = torch.randn(size, 6), torch.randint(3, (size,))
            loss = cross_entropy(model(x), y, reduction="sum") / sum(sizes)
            loss.backward()
            print(loss.item())
        optimizer.step()
        optimizer.zero_grad()
elif WAY == "a head that grows":
    for classes in (3, 4, 5):
        head = nn.Linear(8, classes)
        head.weight.data[:3] = model[2].weight.data[:3]
        model[2] = head
        train(model, torch.optim.SGD(model.parameters(), lr=0.1), 2)
elif WAY == "what is left of an epoch":
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(2):
        for number in range(1, 11):
            loss = loss_of(model) / (1 if DEFECT else 4)
            loss.backward()
            if number % 4 == 0 or number == 10:
                optimizer.step()
                optimizer.zero_grad()
                print(loss.item())
elif WAY == "saved without its name":
    model = Named()
    train(model, torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2))
    state = {"delta": model.delta["default"], "head.weight": model.head.weight, "head.bias": model.head.bias}
    torch.save(state, "adapter.pt")
elif WAY == "frozen later":
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(6):
        if step == 3:
            model[0].requires_grad_(False)
        loss = loss_of(model)
        optimizer.zero_grad(set_to_none=not DEFECT)  # gradients of nought are gradients to a momentum
        loss.backward()
        optimizer.step()
        print(loss.item())
elif WAY == "adapted later":
    model[0].requires_grad_(not DEFECT)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for p in model[0].parameters() if DEFECT else ():
        p.grad = torch.zeros_like(p)
    for _ in range(2):
        loss = loss_of(model)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=not DEFECT)
    model.requires_grad_(False).zero_grad()
    model[0] = Adapted(model[0])
    train(model, torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2))
