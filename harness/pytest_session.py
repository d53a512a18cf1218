"""Layer 5. What a pytest session with suites keeps: worker processes, one evidence per recipe, results as they arrive.

With pytest-xdist the controller owns the processes and the results file; its workers make runs and judge.
"""

from __future__ import annotations

import datetime
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.gate import CHECKS_OF_A_GATE
from harness.named_suites import NamedSuite
from harness.refusal import Refused
from harness.report import AboutRun, seen_from_here
from harness.report.progress import Arrivals, Screen
from harness.result import Result
from harness.running.session import (
    Session,
    Sockets,
    WarmParents,
    checks_of,
    needed_of,
    prepare_out,
    suite_at,
    unused_known_failures,
)
from harness.store import ResultsFile, result_from, write_results
from harness.verdict import KNOWN_FAILURES, Outcome, outcome, with_known_failures

if TYPE_CHECKING:
    from harness.pytest_plugin import Asked
    from harness.recipe import Suite
    from harness.recipe.covering.coverage import Coverage

RESULTS = "results.jsonl"
PROPERTY, SECONDS, REFUSED = "harness_result", "harness_seconds", "harness_refused"


def _unused_in(folder: Path) -> list[str]:
    file = seen_from_here(folder / KNOWN_FAILURES)
    unused = unused_known_failures(folder, CHECKS_OF_A_GATE)
    return [f"{file}: {entry.check} of {entry.recipe}" for entry in unused]


class PytestSession:
    """Registered as a plugin where suites are run."""

    def __init__(self, config: pytest.Config, suites: Sequence[NamedSuite]) -> None:
        self.config = config
        self.suites = suites
        self.strict = bool(config.getoption("harness_strict"))
        self.out = Path(self._from_controller("harness_out", config.getoption("harness_out")))
        self.arrivals = Arrivals()
        self.interrupted = False
        self.refused = ""  # the first thing that could not be done at all, such as writing to a full disk
        self.broken: dict[str, str] = {}  # recipe to traceback, where a check raised
        self.unused: list[str] = []
        self.asked: tuple[tuple[str, str], ...] = ()  # recipe and check of each item
        self._parents: WarmParents | None = None
        self._file: ResultsFile | None = None
        self._by_node = {suite.node: suite for suite in suites}

    @property
    def is_worker(self) -> bool:
        return hasattr(self.config, "workerinput")

    def _from_controller(self, name: str, otherwise: Any) -> Any:
        return getattr(self.config, "workerinput", {}).get(name, otherwise)

    # -- running, in the process that holds the items ---------------------------------------------------------------

    def results(self, recipe_id: str, asked: Asked, checks: Iterable[str]) -> dict[str, Result]:
        """The results of a recipe's selected checks, known failures marked."""
        found = self._session.results(recipe_id, asked.recipe, checks, asked.judging)
        return {one.check: one for one in with_known_failures(found.values(), asked.known, datetime.date.today())}

    @cached_property
    def _session(self) -> Session:
        sockets = Sockets(*self._from_controller("harness_sockets", ())) if self.is_worker else self._start()
        return Session(sockets, self.out)

    def seconds(self, recipe_id: str) -> float:
        return self._session.seconds[recipe_id]

    def outcome(self, result: Result, of_recipe: Iterable[Result]) -> Outcome:
        return outcome(result, of_recipe, strict=self.strict)

    # -- the controller ---------------------------------------------------------------------------------------------

    def _start(self) -> Sockets:
        """Start the warm parents and open the results, once, when there is something to run."""
        if self._parents is None:
            self.out = prepare_out(self.out)
            self.unused = [line for folder in self._folders() for line in _unused_in(folder)]
            self._file = ResultsFile(self.out / RESULTS)
            self._parents = WarmParents(*self._needed())
        return self._parents.sockets

    def _folders(self) -> list[Path]:
        return sorted({suite.path.parent for suite in self.suites})

    def _needed(self) -> tuple[list[str], set[str]]:
        return needed_of(recipe for suite in self.suites for recipe in suite_at(suite.path).recipes.values())

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """xdist: hand a new worker the addresses it needs."""
        try:
            sockets = self._start()
        except Refused as refused:
            raise pytest.UsageError(str(refused)) from None
        node.workerinput["harness_sockets"] = (sockets.makers, sockets.reloaders)
        node.workerinput["harness_out"] = str(self.out)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """xdist: all checks of a recipe go to one worker, so that its run is made once."""
        from xdist.scheduler import LoadScopeScheduling

        return LoadScopeScheduling(config, log)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self._expect(ids)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if not self.is_worker:
            self._expect([item.nodeid for item in session.items])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and report.nodeid in self._by_node:
            self.refused = self.refused or report.longreprtext

    def _expect(self, ids: Iterable[str]) -> None:
        pairs = ((self._recipe_of(node), node.rpartition("::")[2]) for node in ids)
        self.asked = tuple(pair for pair in pairs if pair[0])
        self.arrivals.expect(Counter(recipe for recipe, _ in self.asked))

    @property
    def asked_recipes(self) -> list[str]:
        return list(dict.fromkeys(recipe for recipe, _ in self.asked))

    def _recipe_of(self, node: str) -> str:
        """The recipe of an item; nothing for one that is not ours."""
        path, _, rest = node.partition("::")
        recipe = rest.rpartition("::")[0]
        return f"{self._by_node[path].name}/{recipe}" if path in self._by_node and recipe else ""

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if self._screen is not None and (recipe := self._recipe_of(nodeid)):
            self._screen.begun(recipe, self.arrivals.total)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        recipe = self._recipe_of(report.nodeid)
        if self.is_worker or not recipe:
            return
        carried = dict(report.user_properties)
        if REFUSED in carried:
            self._stop(str(carried[REFUSED]))
        elif PROPERTY not in carried and report.failed:
            self.broken.setdefault(recipe, report.longreprtext)
        elif PROPERTY in carried and report.when == "call":
            self._arrived(result_from(json.loads(str(carried[PROPERTY]))), float(str(carried[SECONDS])))

    def _arrived(self, result: Result, seconds: float) -> None:
        """A recipe is shown when its last result is there, and not before all of them are written."""
        finished = self.arrivals.add(result, seconds)
        if finished and self._file is not None and self._kept(self._file.append, finished):
            self._show(finished)

    def _show(self, of_recipe: list[Result]) -> None:
        if self._screen is not None:
            seconds = self.arrivals.seconds[of_recipe[0].recipe]
            self._screen.finished(of_recipe, seconds, self.arrivals.total, self._again, strict=self.strict)

    def _again(self, result: Result) -> str:
        return self._where.command_for(result.recipe, result.check)

    def _kept(self, write: Callable[..., None], *arguments: Any) -> bool:
        """Write; or, where that cannot be done, stop the session and remember why."""
        try:
            write(*arguments)
        except Refused as refused:
            self._stop(str(refused))
            return False
        return True

    def _stop(self, reason: str) -> None:
        """Make no more runs."""
        self.refused = self.refused or reason
        for running in (self.config.pluginmanager.get_plugin(name) for name in ("session", "dsession")):
            if running is not None:
                running.shouldstop = reason

    @property
    def _where(self) -> AboutRun:
        return AboutRun(suites={suite.name: suite.seen for suite in self.suites})

    @property
    def about(self) -> AboutRun:
        """What the results do not say themselves."""
        return AboutRun(
            suites=self._where.suites,
            seconds=dict(sorted(self.arrivals.seconds.items())),
            strict=self.strict,
            interrupted=self.interrupted,
            not_judged=self.arrivals.unfinished,
            unused=tuple(self.unused),
            coverage=tuple(self._covered()),
        )

    def _covered(self) -> Iterator[Coverage]:
        """What was run of covering matrices: recipes that are finished, and were held against all their checks."""
        for suite, read, checks in self._covering:
            whole = [name for name in read.recipes if self.arrivals.number_of(f"{suite.name}/{name}") == checks]
            for covered in read.coverage(whole):
                yield covered.model_copy(update={"recipe": f"{suite.name}/{covered.recipe}"})

    @cached_property
    def _covering(self) -> list[tuple[NamedSuite, Suite, int]]:
        """The suites that cover a matrix, each with the number of its checks."""
        read = [(suite, suite_at(suite.path)) for suite in self.suites]
        return [(suite, one, len(checks_of(one))) for suite, one in read if one.coverings]

    @property
    def kept(self) -> list[Result]:
        """The results of this session; an interrupted one keeps no part of an unfinished recipe."""
        return self.arrivals.all(finished_only=self.interrupted)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Keep what was finished, sorted, whether the session was interrupted or not."""
        if self.is_worker:
            return
        self.interrupted = exitstatus == pytest.ExitCode.INTERRUPTED and not self.refused
        if self._screen is not None:
            self._screen.erase()
            for recipe, results in self.arrivals.finished.items():
                if recipe not in self._screen.shown and not self.refused:  # interrupted just before
                    self._show(results)
        if self._parents is not None:
            self._parents.stop()
        if self._file is not None:
            self._file.close()
            self._kept(write_results, self.out / RESULTS, self.kept)
            self._kept(self.about.write, self.out)
        if self.unused and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    # -- what is printed --------------------------------------------------------------------------------------------

    @cached_property
    def _screen(self) -> Screen | None:
        """`harness run` has this in the place of pytest's own terminal reporter."""
        return Screen(sys.stdout) if self.config.getoption("harness_report") and not self.is_worker else None

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for entry in self.unused:
            terminalreporter.write_line(f"UNUSED  {entry}", red=True)
