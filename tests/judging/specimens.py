"""All specimens: those of every `*_specimens` module beside this one, by check."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

Alteration = Callable[[Any], object]
SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {}  # the kind of finding, what is altered, how
SILENT: dict[str, list[tuple[str, Alteration]]] = {}
SETTINGS: dict[str, Alteration] = {}  # what a check needs before there is anything to be silent about
WARNINGS: set[str] = set()  # kinds of findings that are warnings

_BESIDE = sorted(file.stem for file in Path(__file__).parent.glob("*_specimens.py"))
for module in (importlib.import_module(f"tests.judging.{name}") for name in _BESIDE if not name.startswith("test_")):
    for name, rows in module.SPECIMENS.items():
        SPECIMENS.setdefault(name, []).extend(rows)
    for name, silent in module.SILENT.items():
        SILENT.setdefault(name, []).extend(silent)
    SETTINGS |= getattr(module, "SETTINGS", {})
    WARNINGS |= getattr(module, "WARNINGS", set())
