"""What a pattern of an intent file is about."""

from __future__ import annotations

import pytest

from harness.patterns import checked, meets

NAMES = (
    "model.vision_tower.layers.0.bias",
    "model.language_model.layers.0.mlp.weight",
    "model.language_model.layers.11.mlp.bias",
    "model.multi_modal_projector.linear_1.weight",
    "lm_head.weight",
)


@pytest.mark.parametrize(
    ("pattern", "met"),
    [
        ("multi_modal_projector", [3]),
        ("lm_head.weight", [4]),
        ("projector", []),
        ("layers.0", [0, 1]),
        ("layers.1", []),
        ("language_model.layers.{0..11}", [1, 2]),
        ("layers.{1..11}.mlp", [2]),
        ("*.bias", [0, 2]),
        ("*projector*", [3]),
        ("{vision_tower,lm_head}", [0, 4]),
        ("linear_?", [3]),
        ("model.*.weight", [1, 3]),
        (r"/^model\.(vision|lang)/", [0, 1, 2]),
        ("/bias$/", [0, 2]),
    ],
)
def test_a_pattern_is_about_whole_parts_of_names(pattern: str, met: list[int]) -> None:
    assert [at for at, name in enumerate(NAMES) if meets(checked(pattern), name)] == met


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("/(/", "is not a regular expression"),
        ("layers.{0..", "opens a brace and does not close it"),
        ("layers.{3..1}", "counts from 3 to 1"),
        ("layers.{0..99999999}", "counts from 0 to 99999999"),
        ("layers.{a,,b}", "empty or nested choice"),
        ("layers.{a{b}", "empty or nested choice"),
        ("", "names nothing"),
        ("!", "names nothing"),
        (" vision", "names nothing"),
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        checked(pattern)
