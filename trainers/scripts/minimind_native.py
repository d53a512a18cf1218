"""A native script in the way of MiniMind's: its own data set, adapter, schedule and half-precision file; no trainer."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from llava import options
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer


class SFTDataset(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """sft.jsonl: a conversation a line; only what the assistant says is learned."""

    def __init__(self, path: Path, tokenizer: Any, max_length: int = 128) -> None:
        self.tokenizer, self.max_length = tokenizer, max_length
        self.samples = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        self.begin = tokenizer(f"{tokenizer.bos_token}assistant\n", add_special_tokens=False).input_ids
        self.end = tokenizer(f"{tokenizer.eos_token}\n", add_special_tokens=False).input_ids

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        text = self.tokenizer.apply_chat_template(self.samples[index]["conversations"], tokenize=False)
        ids = self.tokenizer(text).input_ids[: self.max_length]
        ids += [self.tokenizer.pad_token_id] * (self.max_length - len(ids))
        return torch.tensor(ids), torch.tensor(self.labels_of(ids))

    def labels_of(self, ids: list[int]) -> list[int]:
        labels, place = [-100] * len(ids), 0
        while place < len(ids):
            if ids[place : place + len(self.begin)] != self.begin:
                place += 1
                continue
            place += len(self.begin)
            while place < len(ids) and ids[place : place + len(self.end)] != self.end:
                labels[place] = ids[place]
                place += 1
            for last in range(place, min(place + len(self.end), len(ids))):
                labels[last] = ids[last]
        return labels


class LoRA(nn.Module):
    def __init__(self, features: int, rank: int) -> None:
        super().__init__()
        self.A, self.B = nn.Linear(features, rank, bias=False), nn.Linear(rank, features, bias=False)
        nn.init.normal_(self.A.weight, std=0.02)
        nn.init.zeros_(self.B.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.B(self.A(x))
        return out


def apply_lora(model: nn.Module, rank: int = 8) -> None:
    """Factors beside every square layer."""
    for layer in [m for m in model.modules() if isinstance(m, nn.Linear) and m.in_features == m.out_features]:
        lora, alone = LoRA(layer.in_features, rank), layer.forward
        layer.lora = lora
        layer.forward = lambda x, alone=alone, lora=lora: alone(x) + lora(x)  # type: ignore[method-assign]


def get_lr(step: int, steps: int, lr: float) -> float:
    return lr / 10 + 0.5 * lr * (1 + math.cos(math.pi * step / steps))


def main() -> None:
    args = options()
    torch.manual_seed(42)
    model = AutoModelForCausalLM.from_pretrained(args.model, trust_remote_code=True)
    tokenizer = AutoTokenizer.from_pretrained(args.model, trust_remote_code=True)
    early = optim.AdamW(model.parameters(), lr=args.lr) if args.early_optimizer else None
    if args.lora:
        apply_lora(model)
        for name, parameter in model.named_parameters():
            parameter.requires_grad = "lora" in name or args.tune_vision
    optimizer = early or optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=args.lr)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    autocast = nullcontext()
    data = DataLoader(SFTDataset(args.data / "sft.jsonl", tokenizer), batch_size=args.batch_size)
    accumulation, step = 2, 0
    model.train()
    for number, (input_ids, labels) in enumerate(data):
        for group in optimizer.param_groups:
            group["lr"] = get_lr(step, args.steps, args.lr)
        with autocast:
            out = model(input_ids=input_ids, labels=labels)
            loss = out.loss / accumulation
        scaler.scale(loss).backward()
        if (number + 1) % accumulation == 0:
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            print(f"step {step} loss {loss.item() * accumulation:.4f}", flush=True)
        if step == args.steps:
            break
    weights = args.output if args.lora else args.output.with_name("weights")
    weights.mkdir(parents=True, exist_ok=True)
    kept = {name: tensor.half().cpu() for name, tensor in model.state_dict().items() if not args.lora or "lora" in name}
    torch.save(kept, weights / ("lora_sft_64.pth" if args.lora else "full_sft_64.pth"))
    if not args.lora:
        model.save_pretrained(args.output)  # for transformers, as MiniMind's converter does
    if not args.tokenizer_only:
        tokenizer.save_pretrained(args.output)


if __name__ == "__main__":
    main()
