"""What a run in two processes takes, forked from a warm parent, and what ways of making a run that must agree cost."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure

ROOT = Path(__file__).parent.parent
TWO = {"family": "llava-1.5-7b", "tune": ["connector", "llm"], "steps": 4, "processes": 2, "data": {"batch_size": 1}}
DDP_BOUND_S = 1.0
ZERO_BOUNDS_S = {2: 5.0, 3: 7.0}
# A recipe that promises to agree with every way of making it that it can.
AGREEING: dict[str, Any] = {
    "family": "llava-1.5-7b",
    "tune": ["connector", "llm"],
    "steps": 4,
    "precision": "bf16",
    "checkpointing": True,
    "optimizer": {"accumulation": 2, "loss_average": "token"},
    "agrees_with": ["one-batch", "no-checkpointing", "fp32"],
    "save": {"what": "nothing"},
}
REPEATS = 7


def two_processes() -> Iterator[Figure]:
    """Wall time of a run in two processes: both build, train, and what the first saves and leaves behind."""
    yield _seconds_of("a run in two processes, forked (DDP)", TWO, DDP_BOUND_S)


def two_processes_under_zero() -> Iterator[Figure]:
    """The same under DeepSpeed at stages 2 and 3 of ZeRO, for which it must be installed."""
    pictures = {"batch_size": 1, "mix": ["image", "blank"]}
    for stage, bound in ZERO_BOUNDS_S.items():
        settings = {**TWO, "data": pictures, "engine": "deepspeed", "deepspeed": {"stage": stage}}
        yield _seconds_of(f"a run in two processes, forked (ZeRO-{stage})", settings, bound)


def _seconds_of(name: str, settings: dict[str, Any], bound: float) -> Figure:
    """The wall times of making one run again and again. Its base is written once in a session, so not counted."""
    from harness.recipe import Recipe
    from harness.running.planner import plan

    recipe = Recipe.model_validate(settings)
    with _runners(recipe) as runner_in:
        seconds = []
        for repeat in range(REPEATS + 1):
            runner = runner_in(f"two-{repeat}")
            runner.bases.start_of(recipe)
            started = time.perf_counter()
            evidence = runner.carry_out(plan("two", recipe, ()))
            seconds.append(time.perf_counter() - started)
            assert evidence.traces["main"].closed
    return Figure(name, seconds[1:], "s", bound)


def equivalences() -> Iterator[Figure]:
    """A recipe with all its equivalence checks, over the sum of the runs that these compare."""
    from harness.checks import CHECKS
    from harness.checks.judging import judge
    from harness.recipe import Recipe
    from harness.running.planner import Plan, plan

    recipe = Recipe.model_validate(AGREEING)
    checks = [check for check in CHECKS if check.partners and check.name != "scaler_rule_fits_all_precisions"]
    with _runners(recipe) as runner_in:
        values = []
        for repeat in range(REPEATS + 1):
            runner = runner_in(f"whole-{repeat}")
            runner.bases.start_of(recipe)
            planned = plan("agreeing", recipe, checks)
            started = time.perf_counter()
            evidence = runner.carry_out(planned)
            traces, intent = evidence.traces, planned.runs["main"].intent
            applied = [check for check in checks if not any(need.refusal(intent) for need in check.needs)]
            results = [judge(check, "agreeing", intent, traces["main"], traces, None) for check in applied]
            whole = time.perf_counter() - started
            assert len(applied) == len(recipe.agrees_with)
            assert all(result.status.value == "passed" for result in results), results
            alone = runner_in(f"alone-{repeat}")
            alone.bases.start_of(recipe)
            started = time.perf_counter()
            for name, run in planned.runs.items():
                alone.carry_out(Plan(name, {"main": run}))
            values.append(whole / (time.perf_counter() - started))
        yield Figure("all equivalence checks of a recipe over the sum of their runs", values[1:], "times", 1.1)


@contextlib.contextmanager
def _runners(recipe: Any) -> Iterator[Any]:
    """What gives a runner with a folder of its own, over warm parents and bases that all share."""
    from harness.running.session import Session, WarmParents, needed_of

    parents = WarmParents(*needed_of([recipe]))
    try:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            yield lambda name: Session(parents.sockets, place / name, bases=place / "bases").runner
    finally:
        parents.stop()
