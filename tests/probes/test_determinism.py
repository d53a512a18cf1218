"""Passes that differ are told apart from passes that do not, and blamed on the component they come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import dropout

from harness.probes import PROBES, Probed, frozen_in_train_mode, undisturbed
from tests.probes.conftest import Small, batches

Hook = Callable[[nn.Module, Any, torch.Tensor], "torch.Tensor | None"]


def component_of(path: str) -> str:
    return path.split(".", maxsplit=1)[0]


def probed(trains: tuple[str, ...] = ("head",), **hooks: Hook) -> dict[str, dict[str, Any]]:
    """What both probes find of a model in train mode of which some components train, with a hook on others."""
    torch.manual_seed(0)
    model = Small().train()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(component_of(name) in trains)
    for name, hook in hooks.items():
        model.get_submodule(name).register_forward_hook(hook)
    frozen = frozen_in_train_mode(model, component_of)
    with undisturbed(model):
        made = Probed(model, batches(), frozen=frozen)
        return {name: PROBES[name](made)[0] for name in ("frozen_in_training", "evaluated_twice")}


def drops(module: nn.Module, _: Any, output: torch.Tensor) -> torch.Tensor:
    return dropout(output, 0.1, module.training)


def at_times(module: nn.Module, _: Any, output: torch.Tensor) -> torch.Tensor:
    return output * (torch.rand(()) >= 0.1) if module.training else output


def draws_in_vain(module: nn.Module, _: Any, output: torch.Tensor) -> torch.Tensor:
    torch.rand(())
    return output


def always(module: nn.Module, _: Any, output: torch.Tensor) -> torch.Tensor:
    return dropout(output, 0.5, training=True)


def test_a_model_without_chance_is_equal_at_two_passes() -> None:
    found = probed()

    assert found["frozen_in_training"] == {
        "passes": 2,
        "largest_difference": {"words": 0.0, "first": 0.0, "second": 0.0},
    }
    assert found["evaluated_twice"]["largest_difference"] == {"image": 0.0, "text": 0.0}


@pytest.mark.parametrize("hook", [drops, at_times], ids=["dropout", "stochastic depth"])
def test_chance_in_a_frozen_component_is_its_own(hook: Hook) -> None:
    found = probed(first=hook)["frozen_in_training"]["largest_difference"]

    assert found.pop("first") > 0
    assert found == {"words": 0.0, "second": 0.0}


def test_chance_in_what_trains_is_allowed() -> None:
    found = probed(trains=("head", "first"), first=drops)

    assert found["frozen_in_training"]["largest_difference"] == {"words": 0.0, "second": 0.0}


def test_random_numbers_that_change_nothing_are_looked_at_longer_and_allowed() -> None:
    found = probed(first=draws_in_vain)["frozen_in_training"]

    assert set(found["largest_difference"].values()) == {0.0}
    assert found["passes"] > 2


def test_a_frozen_component_in_eval_mode_is_not_put_into_train_mode() -> None:
    model = Small().train().requires_grad_(False)
    model.first.eval()

    assert set(frozen_in_train_mode(model, component_of)) == {"words", "second", "head"}


def test_chance_in_evaluation_is_found() -> None:
    found = probed(trains=("words", "first", "second", "head"), second=always)

    assert all(difference > 0 for difference in found["evaluated_twice"]["largest_difference"].values())
    assert found["frozen_in_training"]["largest_difference"] == {}


def test_a_buffer_that_counts_passes_is_named() -> None:
    assert probed()["evaluated_twice"]["buffers_changed"] == ["seen"]
