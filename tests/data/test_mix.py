"""Choosing samples by kind, and the digests that say which were chosen."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from harness.data import SHIPPED, Sample, Turn, digest, read_samples, select
from harness.recipe.fields import SampleKind
from harness.refusal import Refused

TURNS = (Turn("user", "Well?"), Turn("assistant", "Yes."))


def made(kind: SampleKind, name: str) -> Sample:
    """A sample of that kind; its images need not exist."""
    images = {"text": 0, "image": 1, "blank": 1, "several": 2}[kind]
    return Sample(name, TURNS, (Path("x.png"),) * images, blank=kind == "blank")


def ids(samples: tuple[Sample, ...]) -> list[str]:
    return [sample.id for sample in samples]


@pytest.mark.parametrize("kind", get_args(SampleKind))
def test_a_sample_knows_its_kind(kind: SampleKind) -> None:
    assert made(kind, "x").kind == kind


def test_a_mix_of_one_kind_keeps_the_file_order() -> None:
    samples = [made("image", f"i{place}") for place in range(5)]
    assert ids(select(samples, ["image"], 5)) == [f"i{place}" for place in range(5)]


def test_each_kind_goes_round_on_its_own() -> None:
    samples = [
        made("text", "t0"),
        made("image", "i0"),
        made("text", "t1"),
        made("image", "i1"),
        made("text", "t2"),
    ]
    chosen = select(samples, ["image", "text"], 8)
    assert ids(chosen) == ["i0", "t0", "i1", "t1", "i0", "t2", "i1", "t0"]


def test_a_kind_may_come_twice_in_the_mix() -> None:
    samples = [made("text", "t0"), made("image", "i0"), made("image", "i1"), made("image", "i2")]
    assert ids(select(samples, ["image", "image", "text"], 6)) == ["i0", "i1", "t0", "i2", "i0", "t0"]


def test_the_mix_sets_the_kind_at_every_place() -> None:
    mix: tuple[SampleKind, ...] = ("several", "text", "blank", "image", "text")
    chosen = select(read_samples(SHIPPED), mix, 23)
    assert [sample.kind for sample in chosen] == [mix[place % len(mix)] for place in range(23)]


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    samples = read_samples(SHIPPED)
    assert select(samples, ["image", "text"], 30)[:7] == select(samples, ["image", "text"], 7)


@pytest.mark.parametrize("count", [1, 8])
def test_a_kind_without_samples_is_refused(count: int) -> None:
    with pytest.raises(Refused) as refused:
        select([made("text", "t"), made("image", "i")], ["text", "blank", "several"], count)
    assert "no sample is of kind blank, several; there are image, text" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_no_samples_at_all_are_refused() -> None:
    with pytest.raises(Refused, match="there are no samples"):
        select([], ["text"], 1)


def test_an_empty_mix_is_refused() -> None:
    with pytest.raises(Refused, match="names no kind"):
        select([made("text", "t")], [], 1)


def test_the_digest_depends_on_samples_and_order() -> None:
    samples = read_samples(SHIPPED)
    assert digest(samples) == digest(read_samples(SHIPPED))
    assert len({digest(samples), digest(samples[::-1]), digest(samples[1:]), digest(())}) == 4


def test_the_digest_of_a_sample_sees_id_turns_and_pixels(tmp_path: Path) -> None:
    sample = next(sample for sample in read_samples(SHIPPED) if sample.kind == "image")
    other_image = SHIPPED.parent / "images" / "clock.png"
    changed = [
        replace(sample, id="other"),
        replace(sample, turns=(*sample.turns[:-1], Turn("assistant", "Else."))),
        replace(sample, turns=(Turn("assistant", sample.turns[0].text), *sample.turns[1:])),
        replace(sample, images=(other_image,)),
        replace(sample, images=()),
    ]
    assert len({one.digest() for one in (sample, *changed)}) == 6
    moved = tmp_path / "renamed.png"
    shutil.copyfile(sample.images[0], moved)
    assert replace(sample, images=(moved,)).digest() == sample.digest()
    assert len(sample.digest()) == 32
