"""Runs of the past, made up: what a store keeps of them does not depend on a training."""

from __future__ import annotations

from typing import Any

from harness.history.past import Numbers, PastRecipe, PastRun

ENVIRONMENT = {"torch": "2.13.0", "transformers": "5.23.0"}


def past_run(number: int = 0, of: int = 2, **changed: Any) -> PastRun:
    facts: dict[str, Any] = {
        "ended": f"2026-01-01T00:00:{number % 60:02d}+00:00",
        "commit": "a" * 40,
        "environment": ENVIRONMENT,
        "selection": "",
        "interrupted": False,
        "recipes": tuple(past_recipe(f"suite/{one}") for one in range(of)),
    }
    return PastRun(**{**facts, **changed})


def past_recipe(name: str = "suite/0", **changed: Any) -> PastRecipe:
    facts: dict[str, Any] = {
        "recipe": name,
        "statuses": {"passed": 3, "failed": 1},
        "loud": (("golden.loss", "failed"),),
        "seconds": 1.5,
        "numbers": Numbers("settings", "weights", (2.5, None, 1.25)),
    }
    return PastRecipe(**{**facts, **changed})
