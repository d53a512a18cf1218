"""transformers' Trainer, over a tiny model of a library type: gradient accumulation, label smoothing, going on."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

IGNORED = -100


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=MODELS, default="llama")
    parser.add_argument("--output", required=True)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--batch_size", type=int, default=1)
    parser.add_argument("--accumulation", type=int, default=1)
    parser.add_argument("--label_smoothing", type=float, default=0.0)
    parser.add_argument("--answers", choices=("equal", "different"), default="equal", help="in length")
    parser.add_argument("--interrupted_after", type=int, default=0, help="steps; then a Trainer goes on anew")
    return parser.parse_args()


def llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**TEXT))


TEXT = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def idefics3() -> Any:
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration

    config = Idefics3Config(
        image_token_id=IMAGE,
        scale_factor=2,
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 16,
            "patch_size": 4,
        },
        text_config={**TEXT, "model_type": "llama"},
        pad_token_id=0,
    )
    return Idefics3ForConditionalGeneration(config)


def gemma3() -> Any:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    config = Gemma3Config(
        text_config={**TEXT, "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 16},
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 16,
            "patch_size": 4,
            "vision_use_head": False,
        },
        mm_tokens_per_image=PLACES,
        image_token_index=IMAGE,
    )
    return Gemma3ForConditionalGeneration(config)


IMAGE, PLACES = 63, 4  # the token in whose places a picture stands, and how many places it has


PICTURES = {"llama": (), "idefics3": (1, 3, 16, 16), "gemma3": (3, 16, 16)}  # their shape in a row
MODELS = {"llama": llama, "idefics3": idefics3, "gemma3": gemma3}


class Answers(Dataset[dict[str, Any]]):
    """A question and an answer each; the question is no target. With pictures, one stands before it."""

    def __init__(self, pictures: tuple[int, ...], different: bool, count: int = 32, length: int = 24) -> None:
        drawn = torch.Generator().manual_seed(0)
        self.rows = []
        for number in range(count):
            ids = torch.randint(3, IMAGE, (length,), generator=drawn)
            asked = 8 + (number * 5) % 14 if different else 8
            row = {"input_ids": ids, "labels": ids.clone(), "attention_mask": torch.ones_like(ids)}
            if pictures:
                ids[:PLACES] = IMAGE
                row["pixel_values"] = torch.randn(*pictures, generator=drawn)
            row["labels"][:asked] = IGNORED
            self.rows.append(row)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.rows[index]


class Stop(TrainerCallback):
    """Ends training after some steps."""

    def __init__(self, after: int) -> None:
        self.after = after

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_training_stop = state.global_step >= self.after


def main() -> None:
    args = options()
    if args.interrupted_after:
        trainer(args, Stop(args.interrupted_after)).train()
    made = trainer(args)
    made.train(resume_from_checkpoint=bool(args.interrupted_after))
    made.model.save_pretrained(args.output)


def trainer(args: argparse.Namespace, *callbacks: Any) -> Any:
    torch.manual_seed(0)
    model = MODELS[args.model]()
    arguments = TrainingArguments(
        output_dir=args.output,
        max_steps=args.steps,
        per_device_train_batch_size=args.batch_size,
        gradient_accumulation_steps=args.accumulation,
        label_smoothing_factor=args.label_smoothing,
        learning_rate=1e-3,
        logging_steps=1,
        save_strategy="steps" if args.interrupted_after else "no",
        save_steps=max(args.interrupted_after, 1),
        remove_unused_columns=False,
        report_to="none",
        use_cpu=True,
    )
    data = Answers(PICTURES[args.model], different=args.answers == "different")
    return Trainer(model=model, args=arguments, train_dataset=data, callbacks=[*callbacks])


if __name__ == "__main__":
    main()
