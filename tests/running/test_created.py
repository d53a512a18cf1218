"""A model that is made from its configuration trains as one that was loaded, and is saved under the names it has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.comparator import BITWISE, Verdict, compare
from harness.recipe import Recipe
from harness.trace.arrays import read_header, tensors_of


def saved_keys(trace: Any) -> set[str]:
    files = (Path(trace.directory).parent / "saved").glob("*.safetensors")
    return {name for file in files for name in tensors_of(read_header(file))}


@pytest.mark.parametrize(
    "settings",
    [
        {"family": "llava-1.5-7b", "tune": ["connector", "llm"]},
        {"family": "llava-1.5-7b", "tune": ["connector"], "precision": "bf16", "attention": "eager"},
        {
            "family": "llava-1.5-7b",
            "tune": ["connector"],
            "precision": "pure-bf16",
            "optimizer": {"learning_rate": 0.02},
        },
    ],
    ids=["fp32", "bf16", "pure-bf16"],
)
def test_it_trains_bit_for_bit_alike(make: Callable[..., Any], settings: Any) -> None:
    loaded = make(Recipe(**settings, steps=2), folder="loaded")
    created = make(Recipe(**settings, steps=2, created=True), folder="created")

    found = compare(loaded, created, BITWISE, may_differ=("created",))
    assert {difference.place.field for difference in found.differences} <= {"saved tensor", "saved file"}
    assert found.verdict in (Verdict.EQUAL, Verdict.DIFFERENT), found.reasons


def test_it_is_saved_under_other_names_than_were_published(make: Callable[..., Any]) -> None:
    """Since transformers 5.6 a CLIP tower has one level fewer: only what was loaded remembers how it was published."""
    from harness.stack import release

    if release("transformers") < (5, 6):
        pytest.skip("before transformers 5.6 the tower has its published names")
    settings = {"family": "llava-1.5-7b", "tune": ["connector"], "steps": 1}
    loaded, created = (saved_keys(make(Recipe(**settings, created=one), folder=str(one))) for one in (False, True))

    def outer(keys: set[str]) -> set[str]:
        return {key.replace("vision_tower.vision_model.", "vision_tower.") for key in keys}

    assert loaded != created
    assert outer(loaded) == created
