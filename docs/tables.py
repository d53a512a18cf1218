"""Write the generated parts of the documents: `python docs/tables.py`, or `nox -s docs`.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
MEASURED = (
    "start", "collecting", "recording", "tracing", "beside", "cycle", "repeating", "processes", "zero", "equivalences",
    "covering", "properties",
)  # fmt: skip
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "checks.md")


def checks() -> str:
    """The table of checks, from the registry, and how many injected faults each is proven to catch."""
    from harness.checks import CHECKS
    from harness.faults import FAULTS

    faults = Counter(fault.caught_by for fault in FAULTS.values())
    rows = [(f"`{check.name}`", check.title, check.source, str(faults[check.name])) for check in CHECKS]
    return _table(("check", "promise", "because", "faults"), rows)


def counts() -> str:
    """How much there is, in one sentence."""
    from harness.checks import CHECKS
    from harness.faults import FAULTS

    return (
        f"{len(list(CHECKS))} checks, proven to catch {len(FAULTS.values())} injected faults, each as small as the"
        " promise that it breaks."
    )


def suites() -> str:
    """The table of shipped suites."""
    from harness.recipe import read_suite

    rows = []
    for path in sorted((ROOT / "suites").glob("*.yaml"), key=lambda path: path.stem):
        if path.name == "known_failures.yaml":
            continue
        suite = read_suite(path)
        families = dict.fromkeys(recipe.family for recipe in suite.recipes.values())
        names = ", ".join(f"`{name}`" for name in families)
        rows.append((f"`suites/{path.name}`", suite.description, names, str(len(suite.recipes))))
    return _table(("suite", "what", "families", "recipes"), rows)


def _bound(one: dict[str, Any]) -> str:
    return "" if one["bound"] is None else f"{one['bound']:g} {one['unit']}"


def figures() -> str:
    """The table of measured figures, from the benchmarks' last results."""
    results = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8"))
    rows = [
        (one["name"], f"{one['median']:.3g} {one['unit']}{'' if one['holds'] else ', missed'}", _bound(one))
        for benchmark in MEASURED
        for one in results.get(benchmark, ())
    ]
    return _table(("measured", "median", "at most"), rows)


PARTS: dict[str, Callable[[], str]] = {"checks": checks, "counts": counts, "figures": figures, "suites": suites}


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def current(text: str) -> str:
    """The document with each generated part written anew."""

    def part(found: re.Match[str]) -> str:
        return f"{found[1]}\n{PARTS[found[2]]()}\n{found[3]}"

    return re.sub(r"(<!-- generated: (\w+) -->).*?(<!-- end -->)", part, text, flags=re.DOTALL)


def main() -> None:
    for document in DOCUMENTS:
        document.write_text(current(document.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
