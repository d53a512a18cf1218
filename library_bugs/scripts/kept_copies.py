"""LoRA on a Mamba, and beside it whole copies of its norms, that of each layer and the last: `norm` and `norm_f`."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import MambaConfig, MambaForCausalLM


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    torch.manual_seed(0)
    config = MambaConfig(vocab_size=64, hidden_size=16, state_size=4, num_hidden_layers=2, pad_token_id=0)
    MambaForCausalLM(config).save_pretrained(args.output / "base")
    base = MambaForCausalLM.from_pretrained(args.output / "base")
    adapter = LoraConfig(target_modules=["in_proj", "x_proj"], modules_to_save=["norm", "norm_f"])
    model = get_peft_model(base, adapter)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    model.train()
    for _ in range(3):
        ids = torch.randint(3, 64, (4, 12))
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(args.output / "adapter")


if __name__ == "__main__":
    main()
