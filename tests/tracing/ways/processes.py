"""Two processes that train one model; or, with a defect, that only look as if they did."""

import contextlib
import os
import sys
import tempfile

import torch
import torch.multiprocessing
from torch import nn

DEFECT = sys.argv[1] if len(sys.argv) > 1 else ""
PROCESSES = 2
KEPT = []  # to the process's end: freeing DistributedDataParallel after its group waits for ever once in ten times


def wrapped(model):
    if DEFECT == "weights averaged":
        return model
    if not DEFECT.startswith("sharded"):
        return nn.parallel.DistributedDataParallel(model)
    from torch.distributed.fsdp import fully_shard

    mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (PROCESSES,))
    for part in (model[0], model[2], model):
        fully_shard(part, mesh=mesh)
    return model


def gathered(model):
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    return get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))


def train(rank, meeting):
    if DEFECT == "never met":
        os.environ["RANK"] = str(rank)
    else:
        torch.distributed.init_process_group("gloo", f"file://{meeting}", rank=rank, world_size=PROCESSES)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].requires_grad_("frozen" not in DEFECT)
    early = torch.optim.SGD(model.parameters(), lr=0.1) if "optimizer first" in DEFECT else None
    whole = model if DEFECT == "never met" else wrapped(model)
    called = model if DEFECT == "around the wrapper" else whole
    optimizer = early or torch.optim.SGD(whole.parameters(), lr=0.1)
    if "given the parts" in DEFECT:
        optimizer.param_groups[0]["params"] = list(whole.parameters())
    began = gathered(whole) if "saved as begun" in DEFECT else None
    data = torch.randn(32, 4, generator=torch.Generator().manual_seed(1))
    mine = data if DEFECT == "same data" else data[rank::PROCESSES]
    if "decays" in DEFECT:
        optimizer = torch.optim.AdamW(whole.parameters(), lr=0.1)
        for p in model[0].parameters():
            p.grad = torch.zeros_like(p)
    joined = whole.join() if DEFECT == "unequally many" else contextlib.nullcontext()
    count = 3 + rank if DEFECT == "unequally many" else 4 if DEFECT == "weights averaged" else 3
    with joined:
        steps(called, optimizer, mine.split(4)[:count])
    if "saved" in DEFECT:
        state = gathered(whole) if began is None else began
        if rank == 0:
            torch.save(state, "model.pt")
    if DEFECT != "never met":
        torch.distributed.destroy_process_group()
        KEPT.append(whole)


def steps(called, optimizer, batches):
    for step, batch in enumerate(batches):
        loss = nn.functional.cross_entropy(called(batch), batch[:, 0].gt(0).long())
        optimizer.zero_grad(set_to_none="decays" not in DEFECT)
        loss.backward()
        optimizer.step()
        if DEFECT == "weights averaged" and step % 2:
            for parameter in called.parameters():
                torch.distributed.all_reduce(parameter.data)
                parameter.data /= PROCESSES


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        torch.multiprocessing.start_processes(train, (f"{place}/meeting",), PROCESSES, start_method="fork")
