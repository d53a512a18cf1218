"""Run every benchmark (or those named), write their figures into benchmarks/results.json, and exit with 1 if a bound is
missed.

Timings are ratios within one run wherever they can be: machines are shared and noisy.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

from benchmarks.beside.measuring import traincheck_beside
from benchmarks.collecting import collect_many
from benchmarks.covering import every_pair
from benchmarks.cycle import recipe_against_bare_cycle
from benchmarks.inspecting import inspect_large
from benchmarks.opening import open_report
from benchmarks.processes import equivalences, two_processes, two_processes_under_zero
from benchmarks.properties import drawn_recipes
from benchmarks.recording import recording_overhead
from benchmarks.repeating import repeated_gates
from benchmarks.start import list_checks
from benchmarks.tracing import tracing_overhead

RESULTS = Path(__file__).parent / "results.json"
BENCHMARKS = {
    "start": list_checks,
    "inspecting": inspect_large,
    "collecting": collect_many,
    "recording": recording_overhead,
    "tracing": tracing_overhead,
    "cycle": recipe_against_bare_cycle,
    "repeating": repeated_gates,
    "processes": two_processes,
    "equivalences": equivalences,
    "properties": drawn_recipes,
    "covering": every_pair,
    "beside": traincheck_beside,
}
# What needs more than every machine has: DeepSpeed, which `nox -s bench -- zero` installs, and a browser.
BY_NAME_ALONE = {"zero": two_processes_under_zero, "opening": open_report}


def main(names: list[str]) -> int:
    known = BENCHMARKS | BY_NAME_ALONE
    if unknown := [name for name in names if name not in known]:
        print(f"no benchmark {unknown[0]!r}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    figures = []
    for name in names or BENCHMARKS:
        measured = []
        for figure in known[name]():
            print(figure.line(), flush=True)
            measured.append(figure)
        _keep(name, [figure.to_json() for figure in measured])
        figures += measured
    missed = [figure for figure in figures if not figure.holds]
    print(f"{len(figures)} figures, {len(missed)} bounds missed")
    return int(bool(missed))


def _keep(name: str, figures: list[dict[str, Any]]) -> None:
    """Put one benchmark's figures in place of those it had."""
    record = json.loads(RESULTS.read_text(encoding="utf-8"))
    record |= {"machine": platform.machine(), name: figures}
    RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
