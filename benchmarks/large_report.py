"""A made-up report as large as that of a whole gate: recipes with all their checks, some failures, pictures of each."""

from __future__ import annotations

import math

from harness.compat_table import Cell, CompatTable, Outcome, Stack
from harness.report import RunReport
from harness.report.drift import Drift
from harness.report.evidence import Evidence, Part, Speed
from harness.result import Finding, Reason, Result, Status

RECIPES, CHECKS = 271, 90
_NOT_FOR_ALL = tuple(Reason)
_COMPONENTS = ("vision", "connector", "embeddings", "language", "lm_head")
_GOLDENS, _STACKS = 9, ("4.45.2", "4.57.6", "5.0.0", "5.23.0")


class ParameterMoved(Finding):
    """A kind of finding, for the failures of the report."""


def large_run(recipes: int = RECIPES, checks: int = CHECKS) -> RunReport:
    """The same report each time. Every 40th recipe has a failure, and every 15th a warning."""
    names = [f"suite-{number % 12}/recipe-{number:03}[{('fp32', 'bf16')[number % 2]}]" for number in range(recipes)]
    results = [_result(name, number, check) for number, name in enumerate(names) for check in range(checks)]
    goldens = names[:_GOLDENS]
    results += [Result(name, "golden.loss", Status.PASSED) for name in goldens]
    again = {(one.recipe, one.check): f"harness run suites --recipe '{one.recipe}' -k {one.check}" for one in results}
    return RunReport(
        tuple(results),
        seconds={name: 0.5 + number % 7 for number, name in enumerate(names)},
        environment={"python": "3.11.7", "torch": "2.13.0", "transformers": "5.23.0"},
        again=again,
        evidence={name: _evidence(number) for number, name in enumerate(names)},
        drifts={name: _drift(number) for number, name in enumerate(goldens)},
        compat=_compat(goldens),
        baseline=tuple(_before(one) for one in results),
    )


def _result(recipe: str, number: int, check: int) -> Result:
    name = f"check_number_{check:02}_of_all"
    if check == 5 and number % 40 == 7:
        finding = ParameterMoved("same", "3 parameters changed", where="vision.0", cause="the optimizer holds them")
        return Result(recipe, name, Status.FAILED, "1 finding", (finding,) * (1 + number % 9))
    if check == 8 and number % 15 == 3:
        return Result(recipe, name, Status.WARNED, "1 finding", (ParameterMoved("0", "1e-9"),))
    if (check * 7 + number) % 5 in (1, 3):
        return Result(recipe, name, Status.NOT_APPLICABLE, _NOT_FOR_ALL[(check + number) % len(_NOT_FOR_ALL)])
    return Result(recipe, name, Status.PASSED)


def _before(result: Result) -> Result:
    """Of the same check in the baseline: nothing failed then."""
    return Result(result.recipe, result.check, Status.PASSED) if result.status is Status.FAILED else result


def _evidence(number: int) -> Evidence:
    steps = tuple(range(4 + number % 3))
    loss = tuple(7.2 - 0.3 * step + 0.1 * math.sin(number + step) for step in steps)
    norms = {name: tuple(0.2 + abs(math.sin(number + step + len(name))) for step in steps) for name in _COMPONENTS[1:]}
    trained = tuple(Part(name, 36_864, "trains", 4, 4, 0, 0) for name in norms)
    parts = (Part("vision", 194_368, "frozen", 0, 0, 55, 0), *trained)
    return Evidence(steps, (), loss, norms, "optimizer", parts, Speed(0.2 + number % 5, len(steps), 2 * len(steps)))


def _drift(number: int) -> Drift:
    steps = (0, 1, 2, 3)
    apart = tuple(1e-7 * number * step for step in steps)
    return Drift(steps, apart, apart, (0, number, number, number), 80, 1e-7 * number)


def _compat(recipes: list[str]) -> CompatTable:
    cells = [
        Cell(
            recipe=recipe,
            saved_under=saved,
            loaded_under=loaded,
            outcome=Outcome.KEYS_LOST if saved > loaded else Outcome.LOADS,
            status=Status.FAILED if saved > loaded else Status.PASSED,
            missing=tuple(f"vision_tower.layers.{n}.weight" for n in range(39)) if saved > loaded else (),
        )
        for recipe in recipes
        for saved in _STACKS
        for loaded in _STACKS
    ]
    stacks = tuple(Stack(name=name, asked={"transformers": name}) for name in _STACKS)
    return CompatTable(stacks=stacks, recipes=tuple(recipes), cells=tuple(cells))
