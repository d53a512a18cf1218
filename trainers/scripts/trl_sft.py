"""TRL's SFTTrainer by its Python face, where `trl sft` has no option for a mistake."""

from __future__ import annotations

import torch
from datasets import load_dataset
from llava import TARGETS, load, optimizer_of, options
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer


def main() -> None:
    args = options()
    torch.manual_seed(0)
    model, processor = load(args.model)
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(args.output / "checkpoints"),
            max_steps=args.steps,
            per_device_train_batch_size=args.batch_size,
            learning_rate=args.lr,
            logging_steps=1,
            save_strategy="no",
            max_length=512,
            bf16=False,
            use_cpu=True,
            report_to="none",
        ),
        train_dataset=load_dataset(str(args.data), split="train"),
        processing_class=processor,
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules=TARGETS) if args.lora else None,
        optimizers=(optimizer_of(model, args.lr), None) if args.early_optimizer else (None, None),
    )
    trainer.train()
    trainer.model.save_pretrained(args.output)
    (processor.tokenizer if args.tokenizer_only else processor).save_pretrained(args.output)


if __name__ == "__main__":
    main()
