"""The suites for the GPU, run as anybody would, and of each run on both devices how far the two are apart."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.comparator import across_stacks, compare
from harness.trace.reader import read_trace

ROOT = Path(__file__).parents[2]
SUITES = ROOT / "suites" / "gpu"


def suites_run(out: Path, *options: str) -> dict[str, Any]:
    """How the suites ended: exit status, results by status, and the words of what failed."""
    command = [sys.executable, "-m", "harness", "run", str(SUITES), "--out", str(out), "--history", "off", *options]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    results = out / "results.jsonl"
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    found = [json.loads(line) for line in lines]
    failed = [f"{one['recipe']}: {one['check']}" for one in found if one["status"] in ("failed", "blocked", "fixed")]
    return {
        "exit status": done.returncode,
        "recipes": len({one["recipe"] for one in found}),
        "results": dict(Counter(one["status"] for one in found)),
        "failed": failed[:50],
        "said": done.stderr.strip().splitlines()[-1:],
    }


def pairs_compared(out: Path) -> Iterator[dict[str, Any]]:
    """Each run on the GPU beside the same on the CPU: verdict, by which tolerances, and the largest differences."""
    for on_cpu in sorted((out / "runs").glob("*cpu*")):
        on_gpu = on_cpu.with_name(on_cpu.name.replace("cpu", "cuda"))
        if not on_gpu.is_dir():
            continue
        one, other = read_trace(on_cpu / "trace"), read_trace(on_gpu / "trace")
        compared = compare(one, other, across_stacks(one, other))
        largest = {
            field.field: {"relative": field.largest.relative, "absolute": field.largest.absolute}
            for field in compared.fields
            if field.largest is not None and field.largest.relative is not None
        }
        yield {
            "pair": on_gpu.name,
            "verdict": compared.verdict.value,
            "by": compared.tolerances,
            "largest": largest,
        }
