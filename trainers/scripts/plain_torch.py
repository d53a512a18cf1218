"""A loop in plain torch."""

from __future__ import annotations

import torch
from llava import load, loader, made, options, save


def main() -> None:
    args = options()
    torch.manual_seed(0)
    model, processor = load(args.model)
    model, optimizer = made(args, model)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps)
    model.train()
    for step, batch in enumerate(loader(args, processor)):
        if step == args.steps:
            break
        optimizer.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        print(f"step {step} loss {loss.item():.4f}", flush=True)
    save(args, model, processor)


if __name__ == "__main__":
    main()
