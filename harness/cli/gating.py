"""What `harness run` does after the suites where a gate is asked for: goldens, and what the recipes saved."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.shown import colour
from harness.result import Result, Status
from harness.wording import count

if TYPE_CHECKING:
    from harness.golden.verifying import Asked
    from harness.pytest_session import PytestSession
    from harness.running.runner import Runner

PLACE = "golden-runs"  # in the output directory: the goldens' runs of then and now


@dataclass
class Beyond:
    """Results that are no check of a suite, and the command that repeats each that fails."""

    results: list[Result] = field(default_factory=list)
    commands: dict[str, str] = field(default_factory=dict)
    goldens: str = ""  # the folder of those that were verified, seen from here
    interrupted: bool = False

    def add(self, session: PytestSession, found: Iterable[Result], again: str) -> list[Result]:
        """Keep results, known failures marked."""
        from harness.verdict import with_known_failures

        results = list(found)
        known = [entry for suite in session.suites for entry in suite.known_failures()] if results else []
        results = with_known_failures(results, known, datetime.date.today())
        self.results += results
        self.commands |= {f"{one.recipe}: {one.check}": again for one in results if one.status is not Status.PASSED}
        return results


def beyond(session: PytestSession, golden: Path | None, saved: bool, everything: bool) -> Beyond:
    """Verify the goldens of what was run, or after a run of `everything` all of them; look at what was saved."""
    made = Beyond()
    if session.interrupted or session.refused:
        return made
    try:
        if golden is not None:
            _verify(session, golden, everything, made)
        if saved:
            _inspect(session, made)
    except KeyboardInterrupt:
        made.interrupted = True
    return made


def _verify(session: PytestSession, golden: Path, everything: bool, made: Beyond) -> None:
    from harness.gate.goldens import golden_results
    from harness.golden.asking import asked_of
    from harness.golden.stacks import shelves
    from harness.golden.told import verdict_line, verify_again
    from harness.golden.verifying import verified, wrong_files
    from harness.report import seen_from_here

    there = shelves(golden)
    wanted = [one for one in asked_of(there) if everything or one.recipe_id in session.asked_recipes]
    found = wrong_files(there) if everything else []
    width = max((len(one.name) for one in wanted), default=0)
    made.goldens = seen_from_here(golden)
    print(f"\n{count(len(wanted), 'golden')} of {golden}")
    for one in found:
        _show(made.add(session, golden_results(one, str(golden)), ""), verdict_line(one, width), "")
    with _runner(session, wanted) as runner:
        for asked_for in wanted:
            verdict = verified(runner, asked_for)
            again = verify_again(asked_for.name, golden)
            _show(made.add(session, golden_results(verdict, str(golden)), again), verdict_line(verdict, width), again)


def _show(results: Iterable[Result], line: str, again: str) -> None:
    print(line, flush=True)
    _show_failures(results, again)


def _show_failures(results: Iterable[Result], again: str) -> None:
    from harness.report import failure_block

    for one in results:
        if one.status is Status.FAILED:
            print(f"\n{failure_block(one, again, colour=colour())}\n", flush=True)


@contextlib.contextmanager
def _runner(session: PytestSession, wanted: Iterable[Asked]) -> Iterator[Runner]:
    """Somebody who makes the goldens' runs, in a folder of the session's own, from the bases it has made."""
    from harness.golden.runs import wait_for_imports
    from harness.running.session import Session, WarmParents

    parents = WarmParents(sorted({one.recipe.family for one in wanted if one.recipe}))
    try:
        runner = Session(parents.sockets, session.out / PLACE, bases=session.out / "bases").runner
        wait_for_imports(runner)
        yield runner
    finally:
        parents.stop()


def _inspect(session: PytestSession, made: Beyond) -> None:
    from harness.gate.saved import saved_by, saved_results
    from harness.running.workers import folder_name

    looked_at = 0
    results: list[Result] = []
    for recipe in session.asked_recipes:
        saved = saved_by(recipe, session.out / "runs" / folder_name(recipe))
        if saved is None:
            continue
        looked_at += 1
        found = made.add(session, saved_results(saved), saved.again)
        results += found
        _show_failures(found, saved.again)
    failing = sum(one.status in (Status.FAILED, Status.BLOCKED) for one in results)
    said = f"{failing} of {len(results)} checks failed" if failing else f"{len(results)} checks, none failed"
    print(f"\n{looked_at} saved director{'ies' if looked_at != 1 else 'y'} inspected: {said}", flush=True)
