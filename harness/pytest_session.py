"""Layer 5. What a pytest session with suites keeps: worker processes, one evidence per recipe, results as they arrive.

With pytest-xdist the controller owns the processes and the results file; its workers make runs and judge.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

import pytest

from harness.recipe import Recipe
from harness.refusal import Refused
from harness.result import Result
from harness.session import Session, Sockets, WarmParents, prepare_out
from harness.store import append_result, result_from, write_results
from harness.verdict import KnownFailure, Outcome, outcome, read_known_failures, with_known_failures

RESULTS = "results.jsonl"
PROPERTY, REFUSED = "harness_result", "harness_refused"


class PytestSession:
    """Registered as a plugin where suites are run."""

    def __init__(self, config: pytest.Config, suites: Sequence[Path]) -> None:
        self.config = config
        self.suites = suites
        self.strict = bool(config.getoption("harness_strict"))
        self.out = Path(config.getoption("harness_out"))
        self.results_seen: list[Result] = []
        self.refused = ""  # the first thing that could not be done at all, such as writing to a full disk
        self._session: Session | None = None
        self._parents: WarmParents | None = None
        self._file: TextIO | None = None
        self._progress = Progress(config)
        self._known: dict[Path, tuple[KnownFailure, ...]] = {}

    @property
    def is_worker(self) -> bool:
        return hasattr(self.config, "workerinput")

    # -- running, in the process that holds the items ---------------------------------------------------------------

    def results(self, recipe_id: str, recipe: Recipe, checks: Iterable[str], suite: Path) -> dict[str, Result]:
        """The results of a recipe's selected checks, known failures marked."""
        if self._session is None:
            self._session = Session(self._sockets(), self.out)
        known = self._known_beside(suite)
        found = self._session.results(recipe_id, recipe, checks)
        return {one.check: one for one in with_known_failures(found.values(), known, datetime.date.today())}

    def outcome(self, result: Result, of_recipe: Iterable[Result]) -> Outcome:
        return outcome(result, of_recipe, strict=self.strict)

    def _sockets(self) -> Sockets:
        if self.is_worker:
            return Sockets(*self.config.workerinput["harness_sockets"])  # type: ignore[attr-defined]
        return self._start()

    def _known_beside(self, suite: Path) -> tuple[KnownFailure, ...]:
        if suite not in self._known:
            self._known[suite] = read_known_failures(suite.with_name("known_failures.yaml"))
        return self._known[suite]

    # -- the controller ---------------------------------------------------------------------------------------------

    def _start(self) -> Sockets:
        """Start the warm parents and open the results, once, when there is something to run."""
        if self._parents is None:
            self.out = prepare_out(self.out)
            self._file = (self.out / RESULTS).open("w", encoding="utf-8")
            self._parents = WarmParents(self._families())
        return self._parents.sockets

    def _families(self) -> list[str]:
        from harness.recipe import read_suite

        return sorted({recipe.family for path in self.suites for recipe in read_suite(path).recipes.values()})

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_xdist_setupnodes(self) -> None:
        """xdist: its own status lines say nothing about recipes."""
        status = self.config.pluginmanager.get_plugin("terminaldistreporter")
        if status is not None and self._progress.on:
            status.write_line = status.rewrite = lambda *_, **__: None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """xdist: hand a new worker the addresses it needs."""
        sockets = self._start()
        node.workerinput["harness_sockets"] = (sockets.makers, sockets.reloaders)
        node.config.option.harness_out = str(self.out)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """xdist: all checks of a recipe go to one worker, so that its run is made once."""
        from xdist.scheduler import LoadScopeScheduling

        return LoadScopeScheduling(config, log)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self._progress.expect(ids)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if not self.is_worker:
            self._progress.expect([item.nodeid for item in session.items])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self.is_worker:
            return
        self.refused = self.refused or str(dict(report.user_properties).get(REFUSED, ""))
        if report.when == "teardown" or (result := carried(report)) is None:
            return
        self.results_seen.append(result)
        self._progress.arrived(report.nodeid, result)
        if self._file is not None:
            self._kept(append_result, self._file, result)

    def pytest_sessionfinish(self) -> None:
        """Keep what was finished, sorted, whether the session was interrupted or not."""
        if self._parents is not None:
            self._parents.stop()
        if self._file is not None:
            self._kept(write_results, self.out / RESULTS, self.results_seen)
            with contextlib.suppress(OSError):
                self._file.close()

    def _kept(self, write: Callable[..., None], *arguments: Any) -> None:
        """Write, and remember what kept it from being written."""
        try:
            write(*arguments)
        except Refused as refused:
            self.refused = self.refused or str(refused)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """With --harness-report a recipe is one line, printed when its last check has arrived."""
        if not self._progress.on or carried(report) is None:
            return None
        return (report.outcome if report.when == "call" else ""), "", ""


def carried(report: pytest.TestReport) -> Result | None:
    """The result that a report brings along, from this process or from a worker."""
    return next(
        (result_from(json.loads(str(value))) for name, value in report.user_properties if name == PROPERTY),
        None,
    )


class Progress:
    """Prints each recipe as soon as all its checks have arrived."""

    def __init__(self, config: pytest.Config) -> None:
        self.on = bool(config.getoption("harness_report"))
        self._config = config
        self._expected: Counter[str] = Counter()
        self._arrived: dict[str, list[tuple[str, Result]]] = {}

    def expect(self, ids: Sequence[str]) -> None:
        self._expected = Counter(node.rpartition("::")[0] for node in ids)

    def arrived(self, node: str, result: Result) -> None:
        recipe = node.rpartition("::")[0]
        self._arrived.setdefault(recipe, []).append((node, result))
        if self.on and len(self._arrived[recipe]) == self._expected[recipe]:
            self._print(self._arrived[recipe])

    def _print(self, nodes: list[tuple[str, Result]]) -> None:
        from harness.report.terminal import failure_block, recipe_line

        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        colour = terminal is not None and terminal.hasmarkup
        results = [result for _, result in nodes]
        lines = [recipe_line(results[0].recipe, results, None, colour=colour)]
        for node, result in nodes:
            if result.status.value in ("failed", "fixed") or (
                result.status.value == "blocked" and outcome(result, results) == "failed"
            ):
                lines += ["", failure_block(result, again_command(node), colour=colour), ""]
        if terminal is not None:
            terminal.ensure_newline()
            terminal.write_line("\n".join(lines))


def again_command(node: str) -> str:
    """The command that repeats one item alone."""
    path, recipe, check = node.split("::", 2)
    short = os.path.relpath(path) if Path(path).is_absolute() else path
    return f"harness run {shlex.quote(short)} --recipe {shlex.quote(recipe)} -k {shlex.quote(check)}"
