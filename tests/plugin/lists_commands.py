"""A pytest plugin for sessions under test: prints the command that repeats each item, and which libraries came in."""

from __future__ import annotations

import sys
from typing import Any

HEAVY = ("torch", "transformers", "peft", "accelerate", "safetensors")


def pytest_collection_modifyitems(items: list[Any]) -> None:
    for item in items[:1]:
        print(f"AGAIN {item.again}")
    print("IMPORTED", *(name for name in HEAVY if name in sys.modules))
