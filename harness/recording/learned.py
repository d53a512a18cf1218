"""Which tokens of a batch are learned, row by row: places and a number that identifies the ids, but no ids."""

from __future__ import annotations

from itertools import compress
from operator import mul
from typing import Any

import torch

from harness.recording.by_numpy import as_array, numpy_here, weights_as_array
from harness.trace.fingerprint import as_hex, as_hexes, weights


def row_lengths(ids: torch.Tensor, mask: Any = None) -> list[int]:
    """How many tokens each row of ids (batch, length) has without its padding."""
    if isinstance(mask, torch.Tensor) and mask.shape == ids.shape:
        return [int(length) for length in mask.bool().sum(1).tolist()]
    return [ids.shape[1]] * len(ids)


def learned_rows(labels: torch.Tensor, ignored: int, mask: Any = None) -> dict[str, list[Any]]:
    """Of labels (batch, length): the stretches [start, end) that each row learns, and a fingerprint of their ids.

    Places count from the row's first token: padding on the left stands before place 0, padding on the right after the
    last. A label moved by one place, exchanged or given to padding changes the one or the other.
    """
    begins = [0] * len(labels)
    if isinstance(mask, torch.Tensor) and mask.shape == labels.shape and not bool(mask[:, 0].all()):
        begins = [int(place) for place in mask.bool().int().argmax(1).tolist()]
    if (values := as_array(labels)) is not None:
        prints, learned = _by_numpy(values, ignored, begins)
    else:
        prints, learned = _by_hand(labels, ignored, begins)
    return {
        "fingerprint": prints,
        "stretches": [_stretches(places, begin) for places, begin in zip(learned, begins)],
    }


def _by_numpy(values: Any, ignored: int, begins: list[int]) -> tuple[list[str], list[bytes]]:
    """The fingerprint of each row, and which of its places are learned."""
    numpy, factors = numpy_here(), weights_as_array(values.shape[1])
    if any(begins):
        places = numpy.arange(values.shape[1])[None] - numpy.array(begins)[:, None]
        factors = factors[numpy.maximum(places, 0)]
    learned = values != ignored
    sums = numpy.add.reduce((values + 1) * factors * learned, 1)
    return as_hexes(sums.tolist()), [row.tobytes() for row in learned]


def _by_hand(labels: torch.Tensor, ignored: int, begins: list[int]) -> tuple[list[str], list[bytes]]:
    """The same. A few hundred numbers: plain Python is done with them before torch has been called ten times."""
    weighing, prints, places = weights(0, labels.shape[1]).tolist(), [], []
    for row, begin in zip(labels.tolist(), begins):
        learned = [label != ignored for label in row]
        factors = list(compress([weighing[0]] * begin + weighing if begin else weighing, learned))
        prints.append(as_hex(sum(map(mul, compress(row, learned), factors)) + sum(factors)))
        places.append(bytes(learned))
    return prints, places


def _stretches(learned: bytes, begin: int) -> list[list[int]]:
    """The ranges of ones, whose places are counted from where the row begins."""
    found: list[list[int]] = []
    start = learned.find(1)
    while start >= 0:
        end = learned.find(0, start)
        end = len(learned) if end < 0 else end
        found.append([start - begin, end - begin])
        start = learned.find(1, end)
    return found
