"""Tiny LLaVA and MiniCPM-V cross what depends on size as the published ones do. Newer families have such tests of their
own, beside their counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.families.llava import dimensions as llava
from harness.families.minicpm import dimensions as minicpm

LLAVA: tuple[Callable[[Any], bool], ...] = (
    lambda d: 0 < d.vision_layers + 1 + llava.FEATURE_LAYER < d.vision_layers,
    lambda d: d.image_size // d.patch > 1 and d.image_tokens > 1,
    lambda d: d.image_token < d.pad_token < d.vocabulary,
)
MINICPM: tuple[Callable[[Any], bool], ...] = (
    lambda d: d.hidden // minicpm.HEAD_OF_RESAMPLER >= 1 and d.hidden % minicpm.HEAD_OF_RESAMPLER == 0,
    lambda d: d.key_value_heads < d.heads,
    lambda d: d.slices > 1 and d.resolution > d.patch,
    lambda d: (d.vision_image // d.patch) ** 2 > (d.resolution // d.patch) ** 2,
)


@pytest.mark.parametrize("d", [llava.PUBLISHED_7B, llava.PUBLISHED_13B, llava.TINY], ids=["7b", "13b", "tiny"])
def test_every_llava_is_on_the_same_side(d: Any) -> None:
    assert [holds(d) for holds in LLAVA] == [True] * len(llava.THRESHOLDS)


@pytest.mark.parametrize("d", [minicpm.PUBLISHED, minicpm.TINY], ids=["full", "tiny"])
def test_every_minicpm_is_on_the_same_side(d: Any) -> None:
    assert [holds(d) for holds in MINICPM] == [True] * len(minicpm.THRESHOLDS)
