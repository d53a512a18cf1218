"""The names of the checks that a gate adds: closed lists."""

from __future__ import annotations

from harness.checkpoint.inspecting.names import NAMES
from harness.golden.drift import ASPECTS

OF_GOLDENS = ("golden.kept", *(f"golden.{aspect}" for aspect in ASPECTS))
OF_SAVED = tuple(NAMES)
CHECKS_OF_A_GATE = (*OF_GOLDENS, *OF_SAVED)
