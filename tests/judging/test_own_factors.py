"""An adapter of a script's own is two factors, of which the rank alone is known."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.adapters import adapter_numbers_as_asked
from harness.intent import AdapterIntent, Intent


class Recorded:
    """A trace, as far as the check asks it."""

    def __init__(self, **facts: Any) -> None:
        self.model = {"adapters": {"layers.0.q_proj": facts}}


def found(recorded: Recorded, **asked: Any) -> list[str]:
    intent = Intent(adapter=AdapterIntent(rank=8, **asked))
    return [finding.expected for finding in adapter_numbers_as_asked(intent, recorded)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "asked", "wrong"),
    [
        ({"r": {"default": 8}}, {}, []),
        ({"r": {"default": 4}}, {}, ["r 8"]),
        ({"r": {"default": 8}}, {"dropout": 0.1}, ["dropout 0.1"]),
        ({"r": {"default": 8}}, {"alpha": 16}, ["scaling 2"]),
        ({"r": {"default": 8}, "scaling": {"default": 2.0}}, {"alpha": 16}, ["dropout 0"]),  # peft's say it
    ],
)
def test_no_dropout_is_none_asked_for(facts: dict[str, Any], asked: dict[str, Any], wrong: list[str]) -> None:
    assert found(Recorded(**facts), **asked) == wrong
