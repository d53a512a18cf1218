"""DeepSpeed's engine: `torchrun --nproc_per_node 2 deepspeed_engine.py --deepspeed zero2.json ...`."""

from __future__ import annotations

import json
from pathlib import Path

import deepspeed
import torch
from llava import Collate, Conversations, adapted, freeze, load, options, save
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler


def main() -> None:
    args = options()
    deepspeed.init_distributed("gloo")
    torch.manual_seed(0)
    model, processor = load(args.model)
    freeze(model, args.tune_vision)
    if args.lora and not args.early_optimizer:
        model = adapted(model)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=args.lr, weight_decay=0.0)
    settings = json.loads(Path(args.deepspeed).read_text())
    engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=settings)
    if args.lora and args.early_optimizer:
        model = adapted(model)
        connector = [p for name, p in model.named_parameters() if "multi_modal_projector" in name]
        for parameter in connector:  # trains beside it: where nothing has a gradient, ZeRO raises by itself
            parameter.requires_grad_(True)
    data = Conversations(args.data)
    batches = DataLoader(
        data, batch_size=args.batch_size, sampler=DistributedSampler(data, shuffle=False), collate_fn=Collate(processor)
    )
    engine.train()
    for step, batch in enumerate(batches):
        if step == args.steps:
            break
        loss = engine(**batch).loss
        engine.backward(loss)
        engine.step()
        print(f"step {step} loss {loss.item():.4f}", flush=True)
    if torch.distributed.get_rank() == 0:
        save(args, model, processor)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
