"""Where labels stand is told from a row's first token on, whatever padding lies around it."""

from __future__ import annotations

import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.recording.batches import batch_facts, sample_fingerprints
from harness.recording.learned import learned_rows, row_lengths

IGNORED = -100


def row(labels: list[int], left: int = 0, right: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """One padded row of labels, and its mask."""
    padded = [IGNORED] * left + labels + [IGNORED] * right
    mask = [0] * left + [1] * len(labels) + [0] * right
    return torch.tensor([padded]), torch.tensor([mask])


@given(
    labels=st.lists(st.sampled_from([IGNORED, 0, 1, 7]), min_size=1, max_size=12),
    left=st.integers(0, 3),
    right=st.integers(0, 3),
)
def test_padding_changes_nothing(labels: list[int], left: int, right: int) -> None:
    alone, _ = row(labels)
    padded, mask = row(labels, left, right)

    assert learned_rows(padded, IGNORED, mask) == learned_rows(alone, IGNORED)
    assert row_lengths(padded, mask) == [len(labels)]
    (stretches,) = learned_rows(alone, IGNORED)["stretches"]
    places = [place for start, end in stretches for place in range(start, end)]
    assert places == [place for place, label in enumerate(labels) if label != IGNORED]


@given(
    labels=st.lists(
        st.lists(st.sampled_from([IGNORED, 0, 1, 7, 1 << 40]), min_size=6, max_size=6), min_size=1, max_size=3
    ),
    left=st.integers(0, 3),
)
def test_without_numpy_it_is_the_same(labels: list[list[int]], left: int) -> None:
    rows = torch.tensor([[IGNORED] * left + one for one in labels])
    mask = torch.tensor([[0] * left + [1] * len(one) for one in labels])
    with_numpy = learned_rows(rows, IGNORED, mask)
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "numpy")
        assert learned_rows(rows, IGNORED, mask) == with_numpy


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
@pytest.mark.parametrize("transposed", [False, True], ids=["in place", "transposed"])
def test_samples_are_the_same_without_numpy(dtype: torch.dtype, transposed: bool) -> None:
    ids = torch.arange(12).view(3, 4).to(dtype) + 70_000
    ids = ids.T if transposed else ids
    with_numpy = batch_facts({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "numpy")
        assert batch_facts({"input_ids": ids, "attention_mask": torch.ones_like(ids)}) == with_numpy
        assert sample_fingerprints(ids) == with_numpy["samples"]


@pytest.mark.parametrize(
    ("column", "stretches"),
    [(0, [[-2, -1], [1, 3]]), (2, [[0, 3]]), (5, [[1, 4]]), (6, [[1, 3], [4, 5]])],
    ids=["left padding", "one early", "right padding", "further right"],
)
def test_a_label_that_should_not_be_shows_in_its_place(column: int, stretches: list[list[int]]) -> None:
    labels, mask = row([IGNORED, 4, 5], left=2, right=2)
    labels[0, column] = 9

    assert learned_rows(labels, IGNORED, mask)["stretches"] == [stretches]


@pytest.mark.parametrize("other", [[4, 6], [5, 4], [0, 5]], ids=["one id", "exchanged", "the id 0"])
def test_other_ids_in_the_same_places_have_another_fingerprint(other: list[int]) -> None:
    mine, theirs = (learned_rows(row([IGNORED, *ids])[0], IGNORED) for ids in ([4, 5], other))

    assert mine["stretches"] == theirs["stretches"]
    assert mine["fingerprint"] != theirs["fingerprint"]
