"""Two processes that train one model whose parameters FullyShardedDataParallel has laid flat; the words say how."""

import sys
import tempfile

import torch
import torch.multiprocessing
from torch import nn
from torch.distributed.fsdp import (
    FullStateDictConfig,
    FullyShardedDataParallel,
    MixedPrecision,
    ShardingStrategy,
    StateDictType,
)
from torch.distributed.fsdp.wrap import ModuleWrapPolicy

WORDS = {word.strip() for word in (sys.argv[1] if len(sys.argv) > 1 else "").split(",")}
PROCESSES = 4 if "in replicas" in WORDS else 1 if "alone" in WORDS else 2
CPU = torch.device("cpu")
KEPT = []  # to the process's end


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.block, self.last = nn.Linear(4, 8), nn.Linear(8, 9), nn.Linear(9, 2)
        self.head = nn.Linear(4, 8, bias=False)
        if "tied" in WORDS:
            self.head.weight = self.first.weight
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        return self.last(self.block(self.first(x).relu() + self.head(x)).relu())


def wrapped(model):
    if "plain" in WORDS:
        return nn.parallel.DistributedDataParallel(model)
    settings = {"use_orig_params": "by name" in WORDS, "device_id": CPU}
    if "per layer" in WORDS:
        settings["auto_wrap_policy"] = ModuleWrapPolicy({nn.Linear})
    if "half" in WORDS:
        settings["mixed_precision"] = MixedPrecision(param_dtype=torch.bfloat16)
    if "not all" in WORDS:
        settings["ignored_modules"] = [model.last]
    if "whole between" in WORDS:
        settings["sharding_strategy"] = ShardingStrategy.SHARD_GRAD_OP
    if "in replicas" in WORDS:
        settings["sharding_strategy"] = ShardingStrategy.HYBRID_SHARD
        settings["device_mesh"] = torch.distributed.device_mesh.init_device_mesh("cpu", (2, 2))
    if "whole" in WORDS:
        settings["sharding_strategy"] = ShardingStrategy.NO_SHARD
    return FullyShardedDataParallel(model, **settings)


def gathered(model):
    there = FullStateDictConfig(rank0_only=True)
    with FullyShardedDataParallel.state_dict_type(model, StateDictType.FULL_STATE_DICT, there):
        return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def make(parameters):
    kind = torch.optim.AdamW if "decays" in WORDS else torch.optim.SGD
    return kind(parameters, lr=0.1)


def loss_of(model, batch):
    return nn.functional.cross_entropy(model(batch).float(), batch[:, 0].gt(0).long())


def step(model, optimizer, batch):
    if "not zeroed" not in WORDS:
        optimizer.zero_grad()
    if "accumulates" in WORDS:
        with model.no_sync():
            (loss_of(model, batch[:2]) / 2).backward()
        (loss_of(model, batch[2:]) / 2).backward()
    else:
        loss_of(model, batch).backward()
    if "clips" in WORDS:
        model.clip_grad_norm_(0.5)
    if "decays" in WORDS:
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    optimizer.step()


def train(rank, meeting):
    torch.distributed.init_process_group("gloo", f"file://{meeting}", rank=rank, world_size=PROCESSES)
    torch.manual_seed(0)
    model = Model()
    model.block.requires_grad_("frozen" not in WORDS)
    early = make(model.parameters()) if "optimizer first" in WORDS else None
    whole = wrapped(model)
    optimizer = early or make(whole.parameters())
    began = gathered(whole) if "saved as begun" in WORDS else None
    data = torch.randn(32, 4, generator=torch.Generator().manual_seed(1))
    for batch in (data if "same data" in WORDS else data[rank::PROCESSES]).split(4)[: 2 if PROCESSES == 4 else 3]:
        step(whole, optimizer, batch)
    if "saved" in WORDS or began is not None:
        state = gathered(whole) if began is None else began
        if rank == 0:
            torch.save(state, "model.pt")
    torch.distributed.destroy_process_group()
    KEPT.append(whole)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        torch.multiprocessing.start_processes(train, (f"{place}/meeting",), PROCESSES, start_method="fork")
