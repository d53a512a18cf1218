"""Everything that only a GPU can show, by one command: the suites, both devices compared, the fingerprint, full models.

    python -m benchmarks.gpu [suites] [pairs] [fingerprint] [full] [--out DIR]

Each part is written to benchmarks/gpu.json as it is done; `python docs/gpu.py` makes the table of docs/gpu.md from it.
Exit status 1 if a bound is missed or something failed, 2 where there is no GPU: then nothing is run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "gpu.json"
CONFIGURATIONS = [(name, mode) for name in ("minicpm-llama3-v-2.5", "mini-gemini-7b") for mode in ("lora", "full")]
LIMIT_S = 900


def environment() -> dict[str, Any]:
    """Device and versions."""
    import torch

    from harness import stack
    from harness.machine import device_kind

    return {"device": device_kind("cuda"), "cuda": torch.version.cuda, "versions": stack.versions()}


def fingerprint() -> dict[str, Any]:
    import torch

    from benchmarks.gpu.fingerprinting import measured, shapes_of

    return measured(torch.device("cuda", 0), shapes_of())


def full() -> list[dict[str, Any]]:
    """Each configuration in a process of its own: what one has left in memory is no other's."""
    return [_in_own_process(name, mode) for name, mode in CONFIGURATIONS]


def _in_own_process(name: str, mode: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.gpu.full", name, mode]
    try:
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return {"family": name, "mode": mode, "error": f"took longer than {LIMIT_S} s"}
    if done.returncode:
        return {"family": name, "mode": mode, "error": "\n".join(done.stderr.splitlines()[-5:])}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(given: list[str]) -> int:
    from harness.devices import why_no_cuda
    from harness.recipe import read_suite

    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu")
    parser.add_argument("parts", nargs="*", choices=[[], "suites", "pairs", "fingerprint", "full"])
    parser.add_argument("--out", type=Path, default=ROOT / "harness-out-gpu")
    asked = parser.parse_args(given)
    if why := why_no_cuda():
        suites = [read_suite(path) for path in sorted((ROOT / "suites" / "gpu").glob("*.yaml"))]
        recipes, checks = sum(len(suite.recipes) for suite in suites), _checks()
        skipped = f"{recipes} recipes with {recipes * checks} checks and {len(CONFIGURATIONS)} full configurations"
        print(f"gpu: nothing was run: {why}; {skipped} were skipped (docs/gpu.md)", file=sys.stderr)
        return 2
    return _run(asked.parts, asked.out)


def _checks() -> int:
    from harness.checks import CHECKS

    return len(list(CHECKS))


def _run(parts: list[str], out: Path) -> int:
    from benchmarks.gpu.pairs import pairs_compared, suites_run

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    known: dict[str, Callable[[], Any]] = {
        "fingerprint": fingerprint,
        "suites": lambda: suites_run(out),
        "pairs": lambda: list(pairs_compared(out)),
        "full": full,
    }
    record: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    record["environment"] = environment()
    for name in parts or known:
        record[name] = known[name]()
        print(json.dumps({name: record[name]}, indent=1), flush=True)
        RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    missed = list(missed_bounds({name: record[name] for name in parts or known}))
    print("\n".join(["missed: " + line for line in missed]) or "every bound is kept")
    return int(bool(missed))


def missed_bounds(record: dict[str, Any]) -> list[str]:
    """What is not as it should be, in words."""
    missed = []
    if found := record.get("fingerprint"):
        equal = [name for name, value in found.items() if "equal to" in name and value is not True]
        missed += [f"fingerprint: not {name}" for name in equal]
        if found["of the copy"] < found["at least"]:
            missed.append(f"fingerprint: {found['of the copy']:.2f} of the copy, at least {found['at least']}")
    if (ran := record.get("suites")) and ran["exit status"]:
        missed.append(f"suites: exit status {ran['exit status']}")
    missed += [f"pairs: {one['pair']} {one['verdict']}" for one in record.get("pairs", ()) if _apart(one)]
    for one in record.get("full", ()):
        name = f"full: {one['family']} {one['mode']}"
        if "error" in one:
            missed.append(f"{name}: {one['error'].splitlines()[-1] if one['error'] else 'failed'}")
        elif one["failed"]:
            missed.append(f"{name}: {one['failed'][0]}")
        elif one["recorded over bare"] > RECORDED:
            missed.append(f"{name}: a recorded step is {one['recorded over bare']:.3f} of a bare one")
    return missed


RECORDED = 1.05


def _apart(pair: dict[str, Any]) -> bool:
    return pair["verdict"] not in ("equal", "within_tolerance")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
