"""Layer 3. One session of running suites: worker processes, evidence per recipe made once, results per check."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.checks import CHECKS, Check
from harness.checks.judging import judge
from harness.launch import Launcher, WarmParent, can_fork
from harness.planner import plan
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.result import Result
from harness.runner import JOURNAL, Runner, Workers, disk_errors, worker_modules

MARKER = ".harness-out"


@dataclass(frozen=True)
class Sockets:
    """Where the warm parents listen; None where jobs run in fresh interpreters."""

    makers: str | None = None
    reloaders: str | None = None


class WarmParents:
    """The two parents of a session: one whose children make runs, one whose children load what was saved."""

    def __init__(self, families: Sequence[str]) -> None:
        self._parents: list[WarmParent] = []
        self.sockets = Sockets()
        if can_fork():
            makers, reloaders = worker_modules(families)
            self._parents = [WarmParent("make", makers), WarmParent("reload", reloaders)]
            self.sockets = Sockets(*(parent.socket for parent in self._parents))

    def stop(self) -> None:
        for parent in self._parents:
            parent.stop()


@dataclass
class Session:
    """Carries out and judges recipes, each once, whichever of its checks is asked for first."""

    sockets: Sockets
    out: Path
    faults: tuple[str, ...] = ()
    bases: Path | None = None
    _results: dict[str, dict[str, Result]] = field(default_factory=dict)
    _refused: Refused | None = None

    def results(self, recipe_id: str, recipe: Recipe, checks: Iterable[str]) -> dict[str, Result]:
        """The results of the named checks on a recipe, by check; its runs are made at the first call."""
        if self._refused is not None:
            raise self._refused
        if recipe_id not in self._results:
            try:
                self._results[recipe_id] = self._judged(recipe_id, recipe, CHECKS.named(list(checks)))
            except Refused as refused:
                self._refused = (
                    refused  # the disk is full, or the base cannot be written: no other recipe would fare better
                )
                raise
        return self._results[recipe_id]

    def _judged(self, recipe_id: str, recipe: Recipe, checks: Sequence[Check]) -> dict[str, Result]:
        planned = plan(recipe_id, recipe, checks)
        evidence = self.runner.carry_out(planned, self.faults)
        main, intent = evidence.traces["main"], planned.runs["main"].intent
        return {check.name: judge(check, recipe_id, intent, main, evidence.traces) for check in checks}

    @property
    def runner(self) -> Runner:
        makers = Launcher(self.sockets.makers, {"HF_MODULES_CACHE": str(self.out / "modules" / "make")})
        reloaders = Launcher(self.sockets.reloaders, {"HF_MODULES_CACHE": str(self.out / "modules" / "reload")})
        return Runner(Workers(makers, reloaders), self.out, self.bases)


def prepare_out(out: Path) -> Path:
    """Make the output directory ready: ours from before is emptied, anybody else's is refused untouched."""
    import shutil

    if out.exists() and not out.is_dir():
        raise Refused("is a file", where=str(out), do="name a directory with --out")
    if out.is_dir() and any(out.iterdir()) and not (out / MARKER).exists():
        raise Refused(
            "holds files that are not the harness's",
            where=str(out),
            do="name a new or empty directory with --out",
        )
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / MARKER).write_text("written by harness; its contents are replaced at each run\n", encoding="utf-8")
        for folder in ("runs", "bases", "faults"):
            shutil.rmtree(out / folder, ignore_errors=True)
        (out / JOURNAL).unlink(missing_ok=True)
    return out.resolve()
