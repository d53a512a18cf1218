"""A batch with more padding than it needs, on the side that is asked for."""

from __future__ import annotations

from typing import Any

# What stands in padding, by name; a processor's pad token stands in the ids.
FILLED = {"attention_mask": 0, "position_ids": 0, "mm_token_type_ids": 0}


def padded(batch: dict[str, Any], side: str, count: int, pad_token: int) -> dict[str, Any]:
    """The batch with `count` tokens of padding beside every row; what belongs to pictures stays."""
    import torch

    def wider(rows: Any, value: int) -> Any:
        return torch.nn.functional.pad(rows, (count, 0) if side == "left" else (0, count), value=value)

    values = {"input_ids": pad_token, **FILLED}
    return {name: wider(value, values[name]) if name in values else value for name, value in batch.items()}
