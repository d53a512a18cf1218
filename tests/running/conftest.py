"""A makers' parent that also knows the tests' own jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.launch import Ended, Job, Launcher, WarmParent
from harness.recipe import Recipe
from harness.running.planner import plan
from harness.running.runner import Runner
from harness.running.workers import Workers, worker_modules

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def job_parent() -> Iterator[WarmParent]:
    import os

    makers, _ = worker_modules(["llava-1.5-7b"])
    path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
    parent = WarmParent("test", makers, {"PYTHONPATH": path})
    yield parent
    parent.stop()


@pytest.fixture
def perform(job_parent: WarmParent, tmp_path: Path) -> Callable[..., Ended]:
    """Run one of the jobs in jobs.py to its end, and show what it printed if it failed."""

    def run(name: str, **argument: Any) -> Ended:
        output = tmp_path / f"{name}.txt"
        ended = Launcher(job_parent.socket).run(Job(f"jobs:{name}", argument, str(output)))
        assert ended.code == 0, output.read_text()
        return ended

    return run


@pytest.fixture
def make(warm: Any, bases: Path, tmp_path: Path) -> Callable[..., Any]:
    """Make the run of a recipe and hand back its trace."""

    def run(recipe: Recipe, name: str = "recipe", checks: Any = (), folder: str = "out") -> Any:
        workers = Workers(Launcher(warm.makers), Launcher(warm.reloaders))
        return Runner(workers, tmp_path / folder, bases).carry_out(plan(name, recipe, checks)).traces["main"]

    return run
