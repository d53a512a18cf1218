"""transformers' Trainer."""

from __future__ import annotations

import torch
from llava import Collate, Conversations, adapted, freeze, load, optimizer_of, options, save
from transformers import Trainer, TrainingArguments


def main() -> None:
    args = options()
    torch.manual_seed(0)
    model, processor = load(args.model)
    freeze(model, args.tune_vision)
    optimizers = (optimizer_of(model, args.lr), None) if args.early_optimizer else (None, None)
    if args.lora:
        model = adapted(model)
    arguments = TrainingArguments(
        output_dir=str(args.output / "checkpoints"),
        max_steps=args.steps,
        per_device_train_batch_size=args.batch_size,
        learning_rate=args.lr,
        logging_steps=1,
        save_strategy="no",
        remove_unused_columns=False,
        report_to="none",
        use_cpu=True,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=Conversations(args.data),
        data_collator=Collate(processor),
        optimizers=optimizers,
    )
    trainer.train()
    save(args, model, processor)


if __name__ == "__main__":
    main()
