"""What the cases of all trainers came to, as JSON and as rows of a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.trace.atomic import write_atomically
from trainers.asked import CASES

Row = dict[str, Any]


def row_of(
    name: str, versions: Mapping[str, str], remark: str, verdicts: list[Any], others: Mapping[str, Any] | None = None
) -> Row:
    """A trainer's row: its cases, and by model what came of the first case with further ones."""
    cases = [verdict.to_json() for verdict in verdicts]
    models = [{"model": model, **verdict.to_json()} for model, verdict in (others or {}).items()]
    return {"trainer": name, "versions": dict(versions), "remark": remark, "cases": cases, "models": models}


def keep(path: Path, rows: list[Row], machine: Mapping[str, str], order: Sequence[str]) -> None:
    """Put rows into a file, case by case in the place of those that it had, trainers in this order."""
    before = {row["trainer"]: row for row in read_table(path)["trainers"]} if path.exists() else {}
    for row in rows:
        old = {one["case"]: one for one in before.get(row["trainer"], {}).get("cases", [])}
        now = old | {one["case"]: one for one in row["cases"]}
        models = {one["model"]: one for one in (*before.get(row["trainer"], {}).get("models", ()), *row["models"])}
        cases = [now[case] for case in CASES if case in now]
        before[row["trainer"]] = {**row, "cases": cases, "models": [models[name] for name in sorted(models)]}
    kept = [before[name] for name in order if name in before]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": dict(machine), "trainers": kept}, indent=1, ensure_ascii=False)
    write_atomically(path, text + "\n")


def read_table(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def as_markdown(rows: list[Row]) -> Iterator[str]:
    """A row for each trainer: what was said of each case, and how many checks applied."""
    yield f"| trainer | {' | '.join(CASES)} |"
    yield f"| --- {'| --- ' * len(CASES)}|"
    for row in rows:
        by_case = {one["case"]: one for one in row["cases"]}
        cells = [_cell(by_case.get(case)) for case in CASES]
        yield f"| {_heading(row)} | {' | '.join(cells)} |"
    yield ""
    for row in rows:
        if models := row.get("models"):
            told = (f"`{one['model']}` {one['verdict']}, {one['applied']} checks" for one in models)
            yield f"- {row['trainer']} with tiny checkpoints of the library's own types, by path: {'; '.join(told)}."
        if row["remark"]:
            yield f"- {row['trainer']}: {row['remark']}."


def _heading(row: Row) -> str:
    return f"{row['trainer']} ({', '.join(f'{name} {version}' for name, version in row['versions'].items())})"


def _cell(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return "not run"
    said = str(one["verdict"]).replace("|", "\\|")
    return f"{said}; {one['applied']} checks"
