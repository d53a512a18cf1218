"""The passes that are made when training is over, and how seldom a large model is looked at while it lasts."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
import torch
from torch import nn

from harness.recording.scripts import last_look
from harness.recording.scripts.last_look import _kept, evaluated
from harness.recording.scripts.pace import SMALL, Pace


class DropPath(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (torch.rand(x.shape[0], 1) > 0.5)


class Attends(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = x.view(1, 1, *x.shape)
        attended: torch.Tensor = nn.functional.scaled_dot_product_attention(heads, heads, heads, None, 0.5)
        return attended[0, 0]


class Samples(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print("sampled")
        return x + torch.randn_like(x) + torch.bernoulli(torch.full_like(x, 0.5)) + random.random()


GIVEN: tuple[list[Any], dict[str, Any]] = ([torch.arange(32.0).reshape(8, 4)], {})


@pytest.mark.parametrize(
    ("layer", "drops"),
    [(DropPath(), ["1"]), (Attends(), ["1"]), (Samples(), []), (nn.Dropout(0.5), None)],
    ids=lambda one: type(one).__name__,
)
def test_what_drops_is_told_from_what_samples(
    layer: nn.Module, drops: list[str] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    model = nn.Sequential(nn.Linear(4, 4), layer).train()
    before = torch.get_rng_state(), random.getstate()

    facts, output = evaluated(model, GIVEN)

    assert facts.get("drops") == drops
    assert facts["equal"] is (drops is None)
    assert (output is None) is (drops is not None)
    assert float(facts.get("apart", 0)) == 0
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"x": torch.ones(3), "n": 2, "deep": [{"y": torch.ones(2)}, None]}, True),
        ({"x": object()}, False),
        ({"x": torch.ones(3, device="meta")}, False),
        ({"x": torch.ones(9)}, False),
    ],
    ids=["plain", "an object", "not here", "too large"],
)
def test_a_batch_is_kept_where_it_is_plain_and_small(
    given: dict[str, Any], kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_look, "ELEMENTS", 8)

    assert _kept((), given) is kept


def test_a_small_model_is_looked_at_closely_at_first_and_whenever_something_is_new() -> None:
    pace = Pace(0)
    pace.trains(SMALL)
    pace.begins(0)
    looked = [steps for steps in range(40) if pace.due(steps, steps)]

    assert looked == [*range(16), 20, 25, 30, 35]
    assert [pace.seldom(steps) for steps in (16, 17)] == [1, 5]
    pace.begins(41)
    assert [pace.due(steps, steps) for steps in (41, 56, 57)] == [True, True, False]


@pytest.mark.parametrize("optimizers", [2, 3, 5])
def test_of_optimizers_that_take_turns_all_are_looked_at(optimizers: int) -> None:
    pace = Pace(0)
    pace.trains(SMALL)

    looked = {steps % optimizers for steps in range(100, 200) if pace.due(steps, steps // optimizers)}
    assert looked == set(range(optimizers))


def test_a_large_model_is_looked_at_as_seldom_as_costs_a_hundredth(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 10.0, 20.0, 22.0, 32.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    pace = Pace(0)
    pace.trains(SMALL)
    pace.trains(1)
    pace.begins(0)
    assert pace.every == 0

    with pace.looking():
        pass
    assert not pace.chosen()
    with pace.looking():
        pass
    assert pace.chosen()  # of 22 seconds two went into looking, the others into a bare step

    assert pace.every == 27  # ten would do, or nine were it less
    assert [pace.due(steps, steps) for steps in (0, 26, 27)] == [True, False, True]


def test_how_often_is_as_it_was_asked() -> None:
    pace = Pace(7)
    pace.trains(2 * SMALL)

    assert not pace.chosen()
    assert pace.every == 7
