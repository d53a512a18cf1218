"""What is found inside what a script saves."""

from __future__ import annotations

from typing import Any

import torch

from harness.recording.scripts.state_dicts import state_dicts


class OfAllProcesses(torch.nn.Linear):
    """A model whose state dict the processes would have to meet for, as FullyShardedDataParallel's."""

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("one process alone was asked")


def test_a_whole_model_is_not_asked_for_its_state_dict() -> None:
    (found,) = state_dicts(OfAllProcesses(3, 2))

    assert {name: tuple(tensor.shape) for name, tensor in found.items()} == {"weight": (2, 3), "bias": (2,)}


def test_states_are_found_in_dicts_of_dicts() -> None:
    state, other = {"a": torch.ones(1)}, {"b": torch.ones(2), "note": "none"}

    assert list(state_dicts({"model": {"inner": state}, "epoch": 3, "ema": other})) == [state, other]
