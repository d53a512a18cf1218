"""A loop under Accelerate, with gradient accumulation: `accelerate launch accelerate_loop.py ...`."""

from __future__ import annotations

from accelerate import Accelerator
from accelerate.utils import set_seed
from llava import load, loader, made, options, save


def main() -> None:
    args = options()
    set_seed(0)
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    model, processor = load(args.model)
    model, optimizer = made(args, model)
    model, optimizer, batches = accelerator.prepare(model, optimizer, loader(args, processor))
    model.train()
    steps = 0
    while steps < args.steps:
        for batch in batches:
            with accelerator.accumulate(model):
                loss = model(**batch).loss
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
            if accelerator.sync_gradients:
                steps += 1
                accelerator.print(f"step {steps} loss {loss.item():.4f}")
            if steps == args.steps:
                break
    if accelerator.is_main_process:
        save(args, accelerator.unwrap_model(model), processor)


if __name__ == "__main__":
    main()
