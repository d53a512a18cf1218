"""Which tokens of a batch are learned, row by row: places and a number that identifies the ids, but no ids."""

from __future__ import annotations

from typing import Any

import torch

from harness.trace.fingerprint import as_hex, weights


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
    row, column = (labels != ignored).nonzero(as_tuple=True)
    ids = labels[row, column].to(torch.int64)
    if isinstance(mask, torch.Tensor) and mask.shape == labels.shape and not bool(mask[:, 0].all()):
        begins = mask.bool().int().argmax(1)
        column = column - begins[row]
    words = (ids + 1) * weights(0, labels.shape[1], labels.device)[column.clamp(min=0)]
    sums = torch.zeros(len(labels), dtype=torch.int64, device=row.device).index_add_(0, row, words)
    return {
        "fingerprint": [as_hex(value) for value in sums.tolist()],
        "stretches": _stretches(row, column, len(labels)),
    }


def _stretches(row: torch.Tensor, place: torch.Tensor, rows: int) -> list[list[list[int]]]:
    """By row, the ranges of places that follow each other."""
    found: list[list[list[int]]] = [[] for _ in range(rows)]
    if not len(row):
        return found
    breaks = ((place.diff() != 1) | (row.diff() != 0)).nonzero().flatten()
    first = torch.cat([breaks.new_zeros(1), breaks + 1])
    last = torch.cat([breaks, breaks.new_full((1,), len(row) - 1)])
    for number, start, end in zip(row[first].tolist(), place[first].tolist(), place[last].tolist()):
        found[number].append([start, end + 1])
    return found
