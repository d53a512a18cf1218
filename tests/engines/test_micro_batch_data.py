"""A trainer that draws its data by itself gets the recipe's micro-batches, in their order, each process its own."""

from collections.abc import Sequence
from typing import Any

import pytest

from harness.engines.micro_batch_data import MicroBatchData
from harness.recipe import Recipe


def recipe(accumulation: int, samples: int | None = None) -> Recipe:
    return Recipe.model_validate(
        {
            "family": "llava-1.5-7b",
            "tune": "connector",
            "steps": 4,
            "optimizer": {"accumulation": accumulation},
            "data": {"samples": samples, "batch_size": 2},
        }
    )


def batches(*sizes: int) -> list[list[dict[str, Any]]]:
    return [[{"at": (step, micro)} for micro in range(size)] for step, size in enumerate(sizes)]


class Late(Sequence[Any]):
    """Steps that are made when they are asked for, and how often that was."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = sizes
        self.made: list[int] = []

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, step: Any) -> Any:
        self.made.append(step)
        return batches(*self.sizes)[step]


def test_one_process_gets_them_all_in_their_order() -> None:
    data = MicroBatchData(batches(2, 2, 2, 2), recipe(2), 0, 1)

    assert [data[item]["at"] for item in range(len(data))] == [(s, m) for s in range(4) for m in range(2)]


def test_processes_take_turns_and_get_their_own_alone() -> None:
    data = MicroBatchData(batches(1, 1, 1, 1), recipe(1), 1, 2)

    assert len(data) == 8
    assert [data[item]["at"] for item in (1, 3, 5, 7)] == [(0, 0), (1, 0), (2, 0), (3, 0)]
    with pytest.raises(IndexError, match="process 1 asks for a micro-batch of process 0"):
        data[2]


@pytest.mark.parametrize("late", [False, True])
def test_one_pass_over_the_data_ends_with_what_is_left(late: bool) -> None:
    sizes = (2, 1, 2, 1)
    data = MicroBatchData(Late(*sizes) if late else batches(*sizes), recipe(2, samples=6), 0, 1)  # type: ignore[arg-type]

    assert [data[item]["at"] for item in range(len(data))] == [(0, 0), (0, 1), (1, 0)]


def test_what_is_made_late_is_made_once_for_each_step() -> None:
    late = Late(2, 2, 2, 2)
    data = MicroBatchData(late, recipe(2), 0, 1)

    assert [data[item]["at"] for item in range(len(data))] == [(s, m) for s in range(4) for m in range(2)]
    assert late.made == [0, 1, 2, 3]
