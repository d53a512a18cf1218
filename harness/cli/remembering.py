"""Keeping what a run came to, so that `harness history` can show what moves."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.history import FILE
from harness.refusal import Refused

if TYPE_CHECKING:
    from harness.pytest_session import PytestSession
    from harness.report import RunReport
    from harness.trace.reader import Trace

VARIABLE = "FINETUNE_HARNESS_HISTORY"  # the file of past runs, or `off`
OFF = "off"


def history_file(given: Path | None) -> Path | None:
    """Where past runs are kept; None where nobody wants them kept."""
    named = str(given) if given is not None else os.environ.get(VARIABLE, str(FILE))
    return None if named == OFF else Path(named)


def remember(session: PytestSession, made: RunReport, selection: str, file: Path | None) -> None:
    """Add a run to the past ones. Where that cannot be done the run is as good as it was, and why is said."""
    if file is None or session.refused or not made.results:
        return
    from harness.history.past import PastRun, flat_environment, past_recipes
    from harness.history.store import History

    try:
        if file == FILE:
            _make_own_folder(file.parent)
        with History(file) as kept:
            if kept.aside:
                print(f"harness: {file} could not be read and lies now at {kept.aside}", file=sys.stderr)
            kept.add(
                PastRun(
                    ended=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                    commit=_commit(session),
                    environment=flat_environment(made.environment),
                    selection=selection,
                    interrupted=made.interrupted,
                    recipes=past_recipes(made.results, made.seconds, _traces(session, made)),
                ),
                _version(),
            )
    except (Refused, OSError) as error:
        print(f"harness: this run is not in the history: {error}", file=sys.stderr)


def _make_own_folder(folder: Path) -> None:
    """The folder that past runs are kept in by default, which version control does not see."""
    folder.mkdir(exist_ok=True)
    ignored = folder / ".gitignore"
    if not ignored.exists():
        ignored.write_text("*\n", encoding="utf-8")


def _traces(session: PytestSession, made: RunReport) -> Mapping[str, Trace]:
    """The main trace of each recipe, of those that can be read."""
    from harness.running.workers import folder_name
    from harness.trace.reader import read_trace

    traces = {}
    for recipe in made.recipes:
        place = session.out / "runs" / folder_name(recipe) / "trace"
        if (place / "header.json").exists():
            try:
                traces[recipe] = read_trace(place)
            except Refused:  # a crash can leave anything; its check has said so
                continue
    return traces


def _commit(session: PytestSession) -> str | None:
    from harness.golden.provenance import tree_of

    return tree_of(session.suites[0].path, Path("golden")).commit if session.suites else None


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("finetune-harness")
    except metadata.PackageNotFoundError:
        return "unknown"
