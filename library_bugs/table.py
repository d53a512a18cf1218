"""What came of all bugs, as JSON and as a table: bug × version × verdict."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.report.text import one_line
from harness.trace.atomic import write_atomically
from library_bugs.asked import Bug

Row = dict[str, Any]


def keep(path: Path, rows: Mapping[str, Row], machine: Mapping[str, str], order: Sequence[str]) -> None:
    """Put rows into a file, each in the place of the one that it had, in this order."""
    before = read_table(path)["bugs"] if path.exists() else {}
    now = {**before, **rows}
    kept = {name: now[name] for name in order if name in now}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": dict(machine), "bugs": kept}, indent=1, ensure_ascii=False)
    write_atomically(path, text + "\n")


def read_table(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def as_markdown(bugs: Mapping[str, Bug], rows: Mapping[str, Row]) -> Iterator[str]:
    """A row for each bug in each version; of one that depends on the hash seed, a row for all seeds."""
    yield "| bug | versions | has it | what the checks said |"
    yield "| --- | --- | --- | --- |"
    for name, row in rows.items():
        for number, (versions, runs) in enumerate(by_versions(row["runs"])):
            first = f"`{name}`: {bugs[name].about}, {_threads(bugs[name].threads)}" if number == 0 else ""
            yield f"| {first} | {versions} | {'yes' if runs[0]['broken'] else 'no'} | {_said(runs)} |"


def as_it_should_be(runs: Iterable[Mapping[str, Any]]) -> bool:
    """Whether every run of a bug came out right, and each version that has it was caught at least once."""
    several = [mine for _, mine in by_versions(runs)]
    caught = (any(one["verdict"].startswith("caught") for one in mine) for mine in several if mine[0]["broken"])
    return all(caught) and all(one["right"] for mine in several for one in mine)


def by_versions(runs: Iterable[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """The runs of each versions, in their order."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        found.setdefault(versions_text(run["versions"]), []).append(run)
    return list(found.items())


def versions_text(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _said(runs: Sequence[Mapping[str, Any]]) -> str:
    """What was said of a version; of several seeds, how often each."""
    if len(runs) == 1:
        seen = f" ({_cell(runs[0]['seen'])})" if runs[0]["seen"] else ""
        return f"{_cell(runs[0]['verdict'])}{seen}; {runs[0]['applied']} checks"
    seeds: dict[str, list[str]] = {}
    for run in runs:
        seeds.setdefault(_cell(run["verdict"]), []).append(str(run["hash_seed"]))
    return "; ".join(f"{said} under hash seed {', '.join(numbers)}" for said, numbers in seeds.items())


def _threads(threads: Sequence[str]) -> str:
    """Links as people write them: library and number."""
    parts = [one.removeprefix("https://github.com/").split("/") for one in threads]
    return ", ".join(f"[{name} #{parts[-1]}]({link})" for link, (_, name, *parts) in zip(threads, parts, strict=True))


def _cell(text: str) -> str:
    return one_line(text).replace("|", "\\|")
