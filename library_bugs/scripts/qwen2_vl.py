"""A Qwen2-VL that is trained, saved, loaded and trained again."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration


def tiny() -> Any:
    text = {
        "vocab_size": 64,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
        "tie_word_embeddings": False,
    }
    vision = {"depth": 1, "embed_dim": 16, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2}
    tokens = {"vision_start_token_id": 60, "vision_end_token_id": 61, "image_token_id": 62, "video_token_id": 63}
    return Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=vision, **tokens))


def train(model: Any, steps: int) -> None:
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("visual" not in name)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    model.train()
    for _ in range(steps):
        ids = torch.randint(3, 60, (2, 16))
        loss = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", required=True)
    args = parser.parse_args()
    torch.manual_seed(0)
    model = tiny()
    train(model, 2)
    model.save_pretrained(args.output)
    again = Qwen2VLForConditionalGeneration.from_pretrained(args.output)
    train(again, 2)
    again.save_pretrained(args.output)


if __name__ == "__main__":
    main()
