"""The rate of each step, against numbers worked out by hand; and which micro-batches each step has."""

from __future__ import annotations

import pytest

from harness.checks.rates import expected_rate
from harness.engines.parameter_groups import parameter_groups
from harness.engines.schedules import factor_of_step
from harness.intent import Mechanisms, Optimization
from harness.recipe import Optimizer
from harness.refusal import Refused

HALF_OF_ROOT_2 = 2**0.5 / 2


@pytest.mark.parametrize(
    ("schedule", "warmup", "factors"),
    [
        ("constant", 0, [1, 1, 1, 1]),
        ("constant", 3, [1 / 4, 2 / 4, 3 / 4, 1]),
        ("linear", 0, [1, 3 / 4, 2 / 4, 1 / 4]),
        ("linear", 1, [1 / 2, 1, 2 / 3, 1 / 3]),
        ("cosine", 0, [1, (1 + HALF_OF_ROOT_2) / 2, 1 / 2, (1 - HALF_OF_ROOT_2) / 2]),
        ("cosine", 2, [1 / 3, 2 / 3, 1, 1 / 2]),
    ],
)
def test_the_rate_of_each_step_is_as_the_schedule_says(schedule: str, warmup: int, factors: list[float]) -> None:
    asked = {"learning_rate": 0.5, "schedule": schedule, "warmup_steps": warmup}
    expected = [expected_rate(Optimization.model_validate(asked), "language", step, 4, "") for step in range(4)]
    engine = factor_of_step(Optimizer.model_validate(asked), 4)

    assert expected == pytest.approx([0.5 * factor for factor in factors], rel=1e-12)
    assert [engine(step) for step in range(4)] == pytest.approx(factors, rel=1e-12)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize(("steps", "warmup"), [(steps, warmup) for steps in (1, 2, 4) for warmup in range(steps)])
def test_the_rate_is_the_engines_own_to_the_end_and_beyond(schedule: str, warmup: int, steps: int) -> None:
    asked = {"learning_rate": 0.5, "schedule": schedule, "warmup_steps": warmup}
    expected = [expected_rate(Optimization.model_validate(asked), "language", step, steps, "") for step in range(8)]
    engine = factor_of_step(Optimizer.model_validate(asked), steps)

    assert expected == pytest.approx([0.5 * engine(step) for step in range(8)], rel=1e-12, abs=1e-15)


def test_a_warm_up_may_begin_at_zero_as_that_of_transformers_does() -> None:
    asked = {"learning_rate": 0.5, "schedule": "linear", "warmup_steps": 2, "warmup_from_zero": True}
    expected = [expected_rate(Optimization.model_validate(asked), "language", step, 6, "") for step in range(6)]

    assert expected == pytest.approx([0.5 * factor for factor in (0, 1 / 2, 1, 3 / 4, 2 / 4, 1 / 4)], rel=1e-12)


def test_a_schedule_falls_to_its_floor_and_no_further() -> None:
    """MiniMind's: the rate times 0.1 + 0.45 (1 + cos)."""
    asked = {"learning_rate": 0.5, "schedule": "cosine", "floor": 0.1}
    expected = [expected_rate(Optimization.model_validate(asked), "language", step, 4, "") for step in range(6)]
    factors = [0.1 + 0.45 * (1 + cos) for cos in (1, HALF_OF_ROOT_2, 0, -HALF_OF_ROOT_2, -1, -1)]
    engine = factor_of_step(Optimizer.model_validate(asked), 4)

    assert expected == pytest.approx([0.5 * factor for factor in factors], rel=1e-12)
    assert [engine(step) for step in range(6)] == pytest.approx(factors, rel=1e-12)
    line = factor_of_step(Optimizer.model_validate({**asked, "schedule": "linear"}), 4)
    assert [line(step) for step in range(6)] == pytest.approx([1, 0.775, 0.55, 0.325, 0.1, 0.1], rel=1e-12)


def test_a_name_has_so_many_times_the_rate() -> None:
    asked = Optimization(learning_rate=0.5, rate_factors={"mm_projector": 2, "vlm_uni": 4})
    keys = ("model.mm_projector.0.weight", "model.vlm_uni_aux_projector.1.bias", "model.norm.weight")

    assert [expected_rate(asked, "connector", 0, 2, key) for key in keys] == [1.0, 2.0, 0.5]


def grouped(**factors: float) -> dict[str, float]:
    """The rate that the engine gives each parameter of two layers."""
    from torch import nn

    model = nn.ModuleDict({"one": nn.Linear(1, 1), "other": nn.Linear(1, 1)})
    groups = parameter_groups(model, Optimizer(learning_rate=0.5, rate_factors=factors), lambda path: "language")
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    return {path: rates[id(parameter)] for path, parameter in model.named_parameters()}


def test_the_engine_gives_names_their_rates() -> None:
    assert grouped(other=2) == {"one.weight": 0.5, "one.bias": 0.5, "other.weight": 1.0, "other.bias": 1.0}


@pytest.mark.parametrize(
    ("factors", "refusal"), [({"third": 2}, "nothing that trains"), ({"other": 2, "bias": 3}, "are both in other.bias")]
)
def test_factors_that_meet_nothing_or_one_parameter_twice_are_refused(factors: dict[str, float], refusal: str) -> None:
    with pytest.raises(Refused, match=refusal):
        grouped(**factors)


def test_a_component_has_its_own_rate() -> None:
    asked = Optimization(learning_rate=0.5, component_rates={"connector": 2.0}, schedule="linear")

    assert expected_rate(asked, "connector", 1, 2, "") == 1.0
    assert expected_rate(asked, "vision", 1, 2, "") == 0.25


@pytest.mark.parametrize(
    ("accumulation", "epoch", "sizes", "repeats"),
    [
        (3, None, [3, 3, 3, 3], False),
        (3, 4, [3, 1, 3, 1], False),
        (3, 6, [3, 3, 3, 3], False),
        (2, 5, [2, 2, 1, 2], False),
        (3, 3, [3, 3, 3, 3], True),
        (3, 2, [2, 2, 2, 2], True),
        (1, 1, [1, 1, 1, 1], True),
    ],
)
def test_what_is_left_at_the_end_of_the_data_is_a_group_of_its_own(
    accumulation: int, epoch: int | None, sizes: list[int], repeats: bool
) -> None:
    asked = Mechanisms(accumulation=accumulation, epoch=epoch)

    assert [asked.micro_batches(step) for step in range(4)] == sizes
    assert asked.repeats is repeats
