"""Adds what searches have tried to docs/searched.json, and writes the section of docs/properties.md that says so.

python docs/searched.py [properties-out/searched.json ...]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE, DATA = HERE / "properties.md", HERE / "searched.json"
BEGIN, END = "<!-- written by docs/searched.py -->\n", "<!-- end -->\n"
Record = dict[str, Any]


def with_record(kept: Record, record: Record) -> Record:
    """What was searched, and one search more. What it tried of a fault and a family again takes the earlier's place."""
    way = _way(record)
    before = kept.get(way, {"date": "", "faults": {}, "recipes": {}})
    faults = {name: dict(row) for name, row in before["faults"].items()}
    for name, row in record.get("faults", {}).items():
        faults.setdefault(name, {}).update(row)
    recipes = {**before["recipes"], **({str(record["seed"]): record["recipes"]} if "recipes" in record else {})}
    date = max(before["date"], record["date"])
    return {**kept, way: {"date": date, "faults": faults, "recipes": recipes}}


def section(kept: Record) -> str:
    """A table of what was searched by whom, and the names of what was missed."""
    head = (
        "trained by",
        "last",
        "pairs of fault and family",
        "caught",
        "missed",
        "fits nothing drawn",
        "recipes",
        "found",
    )
    rows = [head, ("---",) * len(head), *(_row(way, one) for way, one in kept.items())]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    missed = [
        f"`{name}` in {family} by {way}"
        for way, one in kept.items()
        for name, row in one["faults"].items()
        for family, verdict in row.items()
        if verdict == "missed"
    ]
    return "\n".join([*lines, "", f"Missed are: {', '.join(missed)}." if missed else "None is missed now."])


def _row(way: str, one: Record) -> tuple[str, ...]:
    verdicts = [verdict for row in one["faults"].values() for verdict in row.values()]
    counts = [str(verdicts.count(verdict)) for verdict in ("caught", "missed", "-")]
    recipes = [counted for by_property in one["recipes"].values() for counted in by_property.values()]
    sums = [str(sum(counted[name] for counted in recipes)) for name in ("tried", "found")]
    return way, one["date"], f"{len(verdicts)} of {len(one['faults'])} faults", *counts, *sums


def _way(record: Record) -> str:
    """Who trains: the engines, and how many processes started by whom, if there are several."""
    numbers = record["processes"]
    started = f", {' or '.join(map(str, numbers))} processes by {' or '.join(record['launchers'])}"
    started *= numbers != [1]
    return " or ".join(record["engines"]) + started


def page(text: str, kept: Record) -> str:
    """The page with its section written anew."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{section(kept)}\n\n{END}{rest.partition(END)[2]}"


def main(files: list[str]) -> None:
    from harness.faults import FAULTS

    kept: Record = json.loads(DATA.read_text(encoding="utf-8"))
    for file in files:
        kept = with_record(kept, json.loads(Path(file).read_text(encoding="utf-8")))
    known = {fault.name for fault in FAULTS.values()}
    for one in kept.values():
        one["faults"] = {name: row for name, row in one["faults"].items() if name in known}
    DATA.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), kept), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
