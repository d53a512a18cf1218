"""What the scripts beside this one share: options, the model and its processor, LLaVA's conversations, saving.

They are scripts as people write them: nothing here knows of the harness.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

TARGETS = r".*language_model.*\.(q_proj|v_proj)"


def options() -> argparse.Namespace:
    """The command line. The last three are the mistakes that the scripts can make."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--batch_size", type=int, default=2)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--lora", action="store_true")
    parser.add_argument("--deepspeed", default=None)
    parser.add_argument("--local_rank", type=int, default=0)
    parser.add_argument("--tune_vision", action="store_true")
    parser.add_argument("--early_optimizer", action="store_true")
    parser.add_argument("--tokenizer_only", action="store_true")
    return parser.parse_args()


def load(path: str) -> tuple[Any, Any]:
    """The model and its processor."""
    from transformers import AutoProcessor, LlavaForConditionalGeneration

    return LlavaForConditionalGeneration.from_pretrained(path), AutoProcessor.from_pretrained(path)


def freeze(model: nn.Module, tune_vision: bool) -> None:
    """The vision tower keeps its weights, as LLaVA's second stage has it."""
    for name, parameter in model.named_parameters():
        if "vision_tower" in name:
            parameter.requires_grad_(tune_vision)


def adapted(model: Any) -> Any:
    """The model with LoRA on the language model's queries and values."""
    from peft import LoraConfig, get_peft_model

    return get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=TARGETS))


def optimizer_of(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """AdamW over what trains."""
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr, weight_decay=0.0)


def made(args: argparse.Namespace, model: Any) -> tuple[Any, torch.optim.Optimizer]:
    """The model with what trains chosen, and its optimizer, in this order or in the wrong one."""
    freeze(model, args.tune_vision)
    early = optimizer_of(model, args.lr) if args.early_optimizer else None
    if args.lora:
        model = adapted(model)
    return model, early or optimizer_of(model, args.lr)


class Conversations(Dataset[dict[str, Any]]):
    """LLaVA's data.json, one picture to a conversation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = json.loads((folder / "data.json").read_text(encoding="utf-8"))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.rows[index]
        names = {"human": "user", "gpt": "assistant"}
        turns = [{"role": names[turn["from"]], "content": turn["value"]} for turn in row["conversations"]]
        return {"turns": turns, "image": Image.open(self.folder / row["image"]).convert("RGB")}


class Collate:
    """Conversations as a batch; what is padding or a picture is no target."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        texts = [self.processor.apply_chat_template(row["turns"], tokenize=False) for row in rows]
        images = [row["image"] for row in rows]
        batch = dict(self.processor(text=texts, images=images, padding=True, return_tensors="pt"))
        labels = batch["input_ids"].clone()
        labels[batch["attention_mask"] == 0] = -100
        image_token = self.processor.tokenizer.convert_tokens_to_ids(self.processor.image_token)
        labels[labels == image_token] = -100
        return {**batch, "labels": labels}


def loader(args: argparse.Namespace, processor: Any) -> DataLoader[Any]:
    """Batches of the folder's conversations, in their order."""
    return DataLoader(Conversations(args.data), batch_size=args.batch_size, collate_fn=Collate(processor))


def save(args: argparse.Namespace, model: Any, processor: Any) -> None:
    """The model, and the processor that it is used with."""
    model.save_pretrained(args.output)
    (processor.tokenizer if args.tokenizer_only else processor).save_pretrained(args.output)
