"""What moved from run to run, and what is slower: pure functions over past runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.history.past import Numbers, PastRun, flat_environment, past_recipes
from harness.history.trends import LEAST, SLOWER, Trend, changes, difference, trends
from harness.result import Result, Status
from tests.history.conftest import ENVIRONMENT, past_recipe, past_run

SAME = Numbers("settings", "weights", (2.5, 1.25))


def runs(*recipes: dict[str, Any], **changed: Any) -> list[PastRun]:
    return [
        past_run(number, recipes=(past_recipe(**{"numbers": SAME, **one}),), **changed)
        for number, one in enumerate(recipes)
    ]


def trend(*recipes: dict[str, Any]) -> Trend:
    (found,) = trends(runs(*recipes))
    return found


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (SAME, ""),
        (replace(SAME, weights="others"), "same losses, other weights"),
        (replace(SAME, weights=""), ""),
        (replace(SAME, losses=(2.5, 1.5)), "loss of micro-batch 2 moved by 2.5e-01"),
        (replace(SAME, losses=(2.5, None)), "loss of micro-batch 2 moved 1.25 to None"),
        (replace(SAME, losses=(2.5,)), "1 micro-batches, not 2"),
    ],
)
def test_the_first_difference_is_said(other: Numbers, said: str) -> None:
    assert difference(SAME, other) == said


def test_no_recipe_moves_by_itself() -> None:
    found = trend({}, {}, {})
    assert found.moved == (None, None, None)


def test_what_moved_comes_with_what_else_changed() -> None:
    before, after = runs({}, {"numbers": replace(SAME, losses=(2.5, 1.5))})
    (alone,) = trends([before, after])
    assert str(alone.moved[1]) == "loss of micro-batch 2 moved by 2.5e-01    with nothing else changed"
    newer = replace(after, environment={**ENVIRONMENT, "transformers": "5.24.0"}, commit="b" * 40)
    (found,) = trends([before, newer])
    assert str(found.moved[1]).endswith("with transformers 5.23.0 → 5.24.0, commit aaaaaaaaaa → bbbbbbbbbb")


def test_a_recipe_that_was_rewritten_explains_itself() -> None:
    before, after = runs({}, {"numbers": Numbers("rewritten", "weights", (2.5, 1.5))})
    (found,) = trends([before, after])
    assert found.moved[1] is not None
    assert found.moved[1].why == "with the recipe's settings"


def test_a_run_without_the_recipe_is_passed_over() -> None:
    first, last = runs({}, {})
    (found,) = trends([first, past_run(1, recipes=()), last])
    assert found.runs == (first, last)
    assert found.moved == (None, None)


def test_changes_name_what_came_and_what_went() -> None:
    one, other = past_run(environment={"torch": "2"}), past_run(environment={"peft": "1"})
    assert list(changes(one, other)) == ["peft none → 1", "torch 2 → none"]


def seconds(*values: float | None) -> Trend:
    return trend(*({"seconds": value} for value in values))


def test_slower_is_told_from_the_median_before() -> None:
    assert seconds(1.0, 9.0, 1.0, SLOWER + 0.01).slower
    assert not seconds(1.0, 9.0, 1.0, SLOWER).slower


def test_too_few_runs_say_nothing() -> None:
    assert seconds(*[1.0] * LEAST, 9.0).slower
    assert not seconds(*[1.0] * (LEAST - 1), 9.0).slower
    assert not seconds(None).slower


def test_a_moment_more_is_not_slower() -> None:
    assert not seconds(0.1, 0.1, 0.1, 0.3).slower


def test_bars_are_as_tall_as_the_seconds() -> None:
    assert seconds(1.0, 4.0, 8.0).bars == "▂▅█"
    assert seconds(None).bars == ""


def test_a_run_is_made_of_its_results() -> None:
    results = [
        Result("s/b", "x", Status.PASSED),
        Result("s/a", "y", Status.FAILED),
        Result("s/a", "x", Status.PASSED),
        Result("s/a", "z", Status.NOT_APPLICABLE, "the recipe freezes nothing"),
        Result("s/a", "golden.loss", Status.KNOWN_FAILURE, "why"),
    ]
    a, b = past_recipes(results, {"s/a": 2.0}, {})
    assert (a.recipe, a.seconds, a.numbers) == ("s/a", 2.0, Numbers())
    assert a.statuses == {"passed": 1, "failed": 1, "known_failure": 1, "not_applicable": 1}
    assert a.loud == (("golden.loss", "known_failure"), ("y", "failed"))
    assert (b.recipe, b.seconds, b.loud) == ("s/b", None, ())


def test_versions_lie_beside_what_else_there_is_of_an_environment() -> None:
    flat = flat_environment({"threads": 1, "versions": {"torch": "2"}})
    assert flat == {"threads": "1", "torch": "2"}
