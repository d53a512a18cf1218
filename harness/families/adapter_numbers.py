"""The numbers that methods other than LoRA are asked for, under the names their layers have for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.recipe import Adapter

Options = dict[str, Any]


def _scaled(options: Options) -> dict[str, Any]:
    rank = options.get("r", 8)
    return {"r": rank, "scaling": options.get("alpha", 8) / rank}


def _adalora(options: Options) -> dict[str, Any]:
    """AdaLoRA divides by the rank only when it computes, so that its scaling is alpha itself."""
    return {
        "r": options.get("init_r", 12),
        "scaling": options.get("lora_alpha", 8),
        "dropout": options.get("lora_dropout", 0.0),
    }


_NUMBERS: dict[str, Callable[[Options], dict[str, Any]]] = {
    "adalora": _adalora,
    "loha": _scaled,
    "lokr": _scaled,
    "minimind-lora": lambda options: {"r": options.get("rank", 16)},
    "vera": lambda options: {"r": options.get("r", 256)},
    "oft": lambda options: {"oft_block_size": options["oft_block_size"]} if options.get("oft_block_size") else {},
    "boft": lambda options: {"boft_block_size": options["boft_block_size"]} if options.get("boft_block_size") else {},
}


def numbers_of(adapter: Adapter) -> dict[str, float]:
    """What the adapter's layers must say; nothing for a method without such numbers, or one that is not known here."""
    asked = _NUMBERS.get(adapter.method)
    numbers = asked(adapter.options) if asked else {}
    return {name: float(value) for name, value in numbers.items()}
