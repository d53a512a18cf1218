"""A head that learns on top of an adapter which was trained before and is not to be trained any more."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import LlamaConfig, LlamaModel


def tiny() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    return LlamaModel(config)


class Judge(nn.Module):
    """One number for a text."""

    def __init__(self, language: Any) -> None:
        super().__init__()
        self.language = language
        self.reward_head = nn.Linear(32, 1)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        hidden = self.language(input_ids=input_ids).last_hidden_state
        return self.reward_head(hidden[:, -1])[:, 0]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", required=True)
    args = parser.parse_args()
    config = LoraConfig(target_modules=["q_proj", "v_proj"], modules_to_save=["norm"], init_lora_weights=False)
    get_peft_model(tiny(), config).save_pretrained(args.output)

    judge = Judge(PeftModel.from_pretrained(tiny(), args.output, is_trainable=False))
    trained = [parameter for parameter in judge.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3)
    judge.train()
    for _ in range(3):
        loss = (judge(torch.randint(3, 64, (4, 12))) - torch.rand(4)).pow(2).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


if __name__ == "__main__":
    main()
