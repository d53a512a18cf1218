"""The rate of each step, against numbers worked out by hand; and which micro-batches each step has."""

from __future__ import annotations

import pytest

from harness.checks.rates import expected_rate
from harness.engines.schedules import factor_of_step
from harness.intent import Mechanisms, Optimization
from harness.recipe import Optimizer

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
        ("cosine-to-tenth", 0, [1, 0.55 + 0.45 * HALF_OF_ROOT_2, 0.55, 0.55 - 0.45 * HALF_OF_ROOT_2]),
    ],
)
def test_the_rate_of_each_step_is_as_the_schedule_says(schedule: str, warmup: int, factors: list[float]) -> None:
    asked = {"learning_rate": 0.5, "schedule": schedule, "warmup_steps": warmup}
    expected = [expected_rate(Optimization.model_validate(asked), "language", step, 4) for step in range(4)]
    engine = factor_of_step(Optimizer.model_validate(asked), 4)

    assert expected == pytest.approx([0.5 * factor for factor in factors], rel=1e-12)
    assert [engine(step) for step in range(4)] == pytest.approx(factors, rel=1e-12)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "cosine-to-tenth"])
@pytest.mark.parametrize(("steps", "warmup"), [(steps, warmup) for steps in (1, 2, 4) for warmup in range(steps)])
def test_the_rate_is_the_engines_own_to_the_end_and_beyond(schedule: str, warmup: int, steps: int) -> None:
    asked = {"learning_rate": 0.5, "schedule": schedule, "warmup_steps": warmup}
    expected = [expected_rate(Optimization.model_validate(asked), "language", step, steps) for step in range(8)]
    engine = factor_of_step(Optimizer.model_validate(asked), steps)

    assert expected == pytest.approx([0.5 * engine(step) for step in range(8)], rel=1e-12, abs=1e-15)


def test_a_component_has_its_own_rate() -> None:
    asked = Optimization(learning_rate=0.5, component_rates={"connector": 2.0}, schedule="linear")

    assert expected_rate(asked, "connector", 1, 2) == 1.0
    assert expected_rate(asked, "vision", 1, 2) == 0.25


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
