"""Any valid samples, written in either format, are read back as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import SHIPPED, Sample, Turn, read_samples
from harness.data.draw import as_llava, as_minicpm, write_json
from harness.data.sample import MARKER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

IMAGES = SHIPPED.parent / "images"

texts = st.text(max_size=30).filter(lambda text: "<image" not in text)
answers = texts.filter(str.strip)
pictures = st.sampled_from(sorted(IMAGES.glob("*.png")))


@st.composite
def conversations(draw: st.DrawFn) -> tuple[tuple[Turn, ...], tuple[Path, ...]]:
    """Some rounds of question and answer, with markers anywhere in the questions."""
    turns: list[Turn] = []
    images: list[Path] = []
    for _ in range(draw(st.integers(1, 3))):
        shown = draw(st.lists(pictures, max_size=2))
        question = MARKER.join(draw(texts) for _ in range(len(shown) + 1))
        turns += [Turn("user", question), Turn("assistant", draw(answers))]
        images += shown
    return tuple(turns), tuple(images)


@st.composite
def sample_lists(draw: st.DrawFn) -> list[Sample]:
    """Valid samples under ids of their own."""
    names = draw(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4, unique=True))
    samples = []
    for name in names:
        turns, images = draw(conversations())
        blank = len(images) == 1 and images[0].name.startswith("blank")
        samples.append(Sample(name, turns, images, blank))
    return samples


@settings(deadline=None, max_examples=60)
@given(samples=sample_lists(), write=st.sampled_from([as_llava, as_minicpm]))
def test_samples_come_back_as_written_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, samples: list[Sample], write: Callable[[Sample], dict[str, Any]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.json"
    write_json(path, map(write, samples))
    assert list(read_samples(path)) == samples
