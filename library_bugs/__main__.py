"""Run the bugs of bugs.yaml (or those named), and put what came of it into harness-out/library_bugs.json."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.refusal import Refused
from library_bugs.asked import Bug, read_bugs
from library_bugs.observing import Verdict, judged, observe
from library_bugs.table import Row, as_it_should_be, as_markdown, keep, versions_text
from trainers.asked import Layer
from trainers.environments import environment


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m library_bugs", description=__doc__)
    parser.add_argument("names", nargs="*", help="bugs, by a part of their names; none: all")
    parser.add_argument("--out", type=Path, default=Path("harness-out"))
    bugs, options = read_bugs().bugs, parser.parse_args(arguments)
    chosen = {name: bug for name, bug in bugs.items() if not options.names or any(n in name for n in options.names)}
    if not chosen:
        print(f"no such bug; there are {', '.join(bugs)}", file=sys.stderr)
        return 2
    machine = {"python": platform.python_version(), "machine": platform.machine()}
    rows: dict[str, Row] = {}
    for name, bug in chosen.items():
        rows[name] = {"runs": [one.to_json() for one in run_bug(name, bug, options.out.absolute())]}
        keep(options.out / "library_bugs.json", rows, machine, list(bugs))
    print("\n".join(as_markdown(bugs, rows)))
    wrong = [name for name, row in rows.items() if not as_it_should_be(row["runs"])]
    runs = sum(len(row["runs"]) for row in rows.values())
    print(f"{runs} runs of {len(rows)} bugs; not as they should be: {', '.join(wrong) or 'none'}")
    return int(bool(wrong))


def run_bug(name: str, bug: Bug, out: Path) -> Iterator[Verdict]:
    """All versions of one bug, under each hash seed that it names. Raises Refused where a version cannot be had."""
    for broken, several in ((True, bug.broken), (False, bug.good)):
        for versions in several:
            layer = environment(name, Layer(versions=versions)).folder
            for seed in bug.hash_seeds or (None,):
                place = out / "library_bugs" / name / _folder(versions, seed)
                verdict = judged(bug, versions, broken, seed, observe(bug, versions, layer, place, seed))
                told = f"{versions_text(versions)}{'' if seed is None else f', hash seed {seed}'}"
                print(f"{name}, {told}: {verdict.verdict} ({verdict.applied} checks)", flush=True)
                yield verdict


def _folder(versions: Mapping[str, str], seed: int | None) -> str:
    parts = [f"{name}-{version}" for name, version in versions.items()]
    return "-".join([*parts, *([] if seed is None else [f"seed-{seed}"])])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Refused as refused:
        print(f"library_bugs: {refused}", file=sys.stderr)
        sys.exit(2)
