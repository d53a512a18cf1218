"""Run every benchmark, write benchmarks/results.json, and exit with 1 if a bound is missed.

Timings are ratios within one run wherever they can be: machines are shared and noisy.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

from benchmarks.collecting import collect_many
from benchmarks.cycle import recipe_against_bare_cycle
from benchmarks.figure import Figure
from benchmarks.recording import recording_overhead
from benchmarks.start import list_checks

RESULTS = Path(__file__).parent / "results.json"
BENCHMARKS = (list_checks, collect_many, recording_overhead, recipe_against_bare_cycle)


def main() -> int:
    figures: list[Figure] = []
    for benchmark in BENCHMARKS:
        for figure in benchmark():
            print(figure.line(), flush=True)
            figures.append(figure)
    record = {"machine": platform.machine(), "figures": [figure.to_json() for figure in figures]}
    RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    missed = [figure for figure in figures if not figure.holds]
    print(f"{len(figures)} figures, {len(missed)} bounds missed")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
