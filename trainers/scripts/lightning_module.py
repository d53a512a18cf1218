"""PyTorch Lightning."""

from __future__ import annotations

import argparse
from typing import Any

import pytorch_lightning as lightning
import torch  # noqa: TC002
from llava import adapted, freeze, load, loader, optimizer_of, options, save


class LlavaModule(lightning.LightningModule):
    """A model with its optimizer; `setup` is where Lightning lets a module change itself before it is trained."""

    def __init__(self, args: argparse.Namespace, model: Any) -> None:
        super().__init__()
        self.args, self.model = args, model
        freeze(self.model, args.tune_vision)
        self.early = optimizer_of(self.model, args.lr) if args.early_optimizer else None

    def setup(self, stage: str) -> None:
        if self.args.lora:
            self.model = adapted(self.model)
        self.model.train()  # which `from_pretrained` leaves otherwise, and Lightning as it is

    def training_step(self, batch: dict[str, torch.Tensor], index: int) -> torch.Tensor:
        loss: torch.Tensor = self.model(**batch).loss
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.early or optimizer_of(self.model, self.args.lr)


def main() -> None:
    args = options()
    lightning.seed_everything(0)
    model, processor = load(args.model)
    module = LlavaModule(args, model)
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=args.steps,
        default_root_dir=args.output,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        gradient_clip_val=1.0,
    )
    trainer.fit(module, loader(args, processor))
    save(args, module.model, processor)


if __name__ == "__main__":
    main()
