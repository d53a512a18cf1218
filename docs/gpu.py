"""Write the table of docs/gpu.md from what a GPU has measured: `python docs/gpu.py`.

`python -m benchmarks.gpu` writes benchmarks/gpu.json; while nobody has had a GPU there is none, and the table says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "gpu.md"
RESULTS = ROOT / "benchmarks" / "gpu.json"
NOTHING = "Not measured: no GPU was to be had."
HEAD = "| measured | figure | bound |\n| --- | --- | --- |\n"


def table(results: Path = RESULTS) -> str:
    """The table in Markdown, or that there is nothing to show."""
    if not results.exists():
        return NOTHING
    record: dict[str, Any] = json.loads(results.read_text(encoding="utf-8"))
    rows = "".join(f"| {' | '.join(row)} |\n" for row in _rows(record))
    missing = [part for part in ("fingerprint", "suites", "pairs", "full") if part not in record]
    lacking = f"\n\nNot measured: {', '.join(missing)}." if missing else ""
    return f"{_machine(record)}\n\n{HEAD}{rows}".rstrip() + lacking


def _machine(record: dict[str, Any]) -> str:
    known = record["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in known["versions"].items() if version)
    return f"On {known['device']}, CUDA {known['cuda']}, {versions}."


def _rows(record: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    if found := record.get("fingerprint"):
        what = f"fingerprint of {found['elements'] / 1e9:.2f} billion parameters in bf16 ({found['way']})"
        yield what, f"{found['of the copy']:.2f} of the copy's rate", f"at least {found['at least']}"
        equal = all(value is True for name, value in found.items() if "equal to" in name)
        yield "the same fingerprints on the CPU, bit for bit", "yes" if equal else "no", "yes"
    if found := record.get("suites"):
        told = ", ".join(f"{count} {status}" for status, count in sorted(found["results"].items()))
        yield f"{found['recipes']} recipes of suites/gpu", told, "nothing failed"
    if "pairs" in record:
        agree = sum(one["verdict"] in ("equal", "within_tolerance") for one in record["pairs"])
        yield "runs on CPU and GPU that agree", f"{agree} of {len(record['pairs'])}", "all"
    for one in record.get("full", ()):
        yield from _full(one)


def _full(one: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    name = f"{one['family']}, {one['mode']}, full size"
    if "error" in one:
        yield name, "failed: " + one["error"].splitlines()[-1].replace("|", "\\|"), ""
        return
    yield f"{name}: a recorded step over a bare one", f"{one['recorded over bare']:.3f}", "at most 1.05"
    yield f"{name}: model FLOPs over the matmul rate", f"{one['utilisation']:.2f}", ""
    peak = one["peak bytes"] / 1e9 if one["peak bytes"] else float("nan")
    yield f"{name}: peak memory", f"{peak:.1f} GB, estimated {one['estimated bytes'] / 1e9:.1f} GB", ""
    yield f"{name}: checks", ", ".join(f"{count} {word}" for word, count in one["checks"].items()), "nothing failed"


def current(page: str) -> str:
    """The page with its table written anew."""
    return re.sub(
        r"(<!-- generated: gpu -->\n).*?(\n<!-- end -->)", lambda found: found[1] + table() + found[2], page, flags=re.S
    )


if __name__ == "__main__":
    PAGE.write_text(current(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
