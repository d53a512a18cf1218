"""LLaMA-Factory's train command with a mistake that it has no option for: `llama_factory.py MISTAKE x.yaml ...`."""

from __future__ import annotations

import sys
from typing import Any

import torch
from llamafactory.cli import main
from llamafactory.train import callbacks
from llamafactory.train.sft import trainer, workflow


def early_optimizer() -> None:
    """The optimizer is made from the model as it is loaded, before the adapter is put in."""
    from llamafactory.model import loader

    made: dict[str, Any] = {}
    init_adapter = loader.init_adapter

    def then(config: Any, model: Any, *rest: Any) -> Any:
        made["optimizer"] = torch.optim.AdamW(model.parameters(), lr=1e-3)
        return init_adapter(config, model, *rest)

    def create_optimizer(self: Any, *_: Any) -> Any:
        self.optimizer = made["optimizer"]
        return self.optimizer

    loader.init_adapter = then
    trainer.CustomSeq2SeqTrainer.create_optimizer = create_optimizer


def tokenizer_only() -> None:
    """The callback that saves the processor does nothing."""
    callbacks.SaveProcessorCallback.on_save = lambda *_, **__: None
    callbacks.SaveProcessorCallback.on_train_end = lambda *_, **__: None


if __name__ == "__main__":
    {"early_optimizer": early_optimizer, "tokenizer_only": tokenizer_only}[sys.argv.pop(1)]()
    assert workflow
    sys.argv.insert(1, "train")
    main()
