"""A loop over DeepSpeed's engine: accumulation, an optimizer in the host's memory, a schedule over two groups."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import Any

import deepspeed
import torch
from torch import nn

WHOLE, WIDTH, CLASSES, RATE = 8, 8, 3, 1e-2  # rows of a step


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", required=True)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--accumulation", type=int, default=1)
    parser.add_argument(
        "--boundaries", choices=("counted", "told"), default="counted", help="who says where a step ends"
    )
    parser.add_argument("--offload", action="store_true")
    parser.add_argument("--scheduler", choices=("WarmupCosineLR", "WarmupLR"))
    parser.add_argument("--head_rate", type=float, default=RATE)
    return parser.parse_args()


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """The engine's configuration."""
    counted = args.accumulation if args.boundaries == "counted" else 1
    asked: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": WHOLE // args.accumulation,
        "gradient_accumulation_steps": counted,
        "zero_allow_untested_optimizer": True,
    }
    if args.offload:
        asked["zero_force_ds_cpu_optimizer"] = False
        asked["zero_optimization"] = {"stage": 2, "offload_optimizer": {"device": "cpu"}}
    if args.scheduler:
        given = {"total_num_steps": 100} if args.scheduler == "WarmupCosineLR" else {}
        asked["scheduler"] = {
            "type": args.scheduler,
            "params": {"warmup_num_steps": 4, "warmup_type": "linear", **given},
        }
    return asked


def micro_batches(args: argparse.Namespace) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The same rows in the same order, however many lie in one micro-batch."""
    drawn = torch.Generator().manual_seed(1)
    for _ in range(args.steps):
        seen, wanted = torch.randn(WHOLE, WIDTH, generator=drawn), torch.randint(CLASSES, (WHOLE,), generator=drawn)
        yield from zip(seen.chunk(args.accumulation), wanted.chunk(args.accumulation), strict=True)


def alone() -> None:
    """One process, which meets nobody. Collectives of DeepSpeed's own, for inference, are not compiled."""
    os.environ["LOCAL_RANK"] = "0"
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def main() -> None:
    args = options()
    alone()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(WIDTH, 16), nn.ReLU(), nn.Linear(16, CLASSES))
    body, _, head = model
    groups = [{"params": [*body.parameters()], "lr": RATE}, {"params": [*head.parameters()], "lr": args.head_rate}]
    optimizer = torch.optim.AdamW(groups)
    engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=settings(args), dist_init_required=False)
    for number, (seen, wanted) in enumerate(micro_batches(args), start=1):
        loss = nn.functional.cross_entropy(engine(seen), wanted)
        if args.boundaries == "told":
            engine.set_gradient_accumulation_boundary(number % args.accumulation == 0)
            loss = loss / args.accumulation
        engine.backward(loss)
        engine.step()


if __name__ == "__main__":
    main()
