"""Run the trainers of trainers.yaml (or those named), and put what came of it into harness-out/trainers.json."""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.refusal import Refused
from trainers.asked import CASES, HERE, Asked, Case, Trainer, read_asked
from trainers.environments import environment, versions_in
from trainers.observing import Verdict, harness, observe
from trainers.table import Row, keep, row_of


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m trainers", description=__doc__)
    parser.add_argument("names", nargs="*", help="trainers, by a part of their names; none: all")
    parser.add_argument("--case", action="append", choices=CASES, help="this case alone; may be repeated")
    parser.add_argument("--model", action="append", help="one of a trainer's further models alone; may be repeated")
    parser.add_argument("--out", type=Path, default=Path("harness-out"))
    asked, options = read_asked(), parser.parse_args(arguments)
    chosen = [one for one in asked.trainers if not options.names or _named(one, options.names)]
    if not chosen:
        print(f"no such trainer; there are {', '.join(one.name for one in asked.trainers)}", file=sys.stderr)
        return 2
    machine = {"python": platform.python_version(), "machine": platform.machine()}
    rows: list[Row] = []
    for one in chosen:
        cases, models = options.case or ([] if options.model else CASES), options.model or list(one.also.models)
        rows.append(run_trainer(asked, one, cases, [] if options.case else models, options.out.absolute()))
        keep(options.out / "trainers.json", rows[-1:], machine, [one.name for one in asked.trainers])
    ran = [case for row in rows for case in (*row["cases"], *row["models"])]
    wrong = [case for case in ran if not case["right"]]
    print(f"{len(ran)} runs of {len(rows)} trainers, {len(wrong)} not as they should be")
    return int(bool(wrong))


def _named(trainer: Trainer, names: Sequence[str]) -> bool:
    return any(name.lower() in trainer.name.lower() for name in names)


def run_trainer(asked: Asked, trainer: Trainer, cases: Sequence[Case], models: Sequence[str], out: Path) -> Row:
    """Cases of one trainer, and the first with further models. Raises Refused where its environment cannot be had."""
    layer = environment(trainer.layer, asked.layers[trainer.layer]).folder if trainer.layer else None
    chosen = [case for case in cases if case in trainer.runs]
    verdicts = run_cases(asked, trainer, chosen, out, layer) if chosen else []
    others = {model: run_cases(asked, trainer.given(model), CASES[:1], out / "also", layer)[0] for model in models}
    return row_of(trainer.name, versions_in(layer, trainer.shows), trainer.remark, verdicts, others)


def run_cases(asked: Asked, trainer: Trainer, cases: Sequence[Case], out: Path, layer: Path | None) -> list[Verdict]:
    with tempfile.TemporaryDirectory(prefix="harness-trainers-") as folder:
        given = prepared(trainer, Path(folder))
        return [run_case(asked, trainer, case, given, out, layer) for case in cases]


def prepared(trainer: Trainer, folder: Path) -> dict[str, str]:
    """The tiny checkpoint and the samples that a trainer is given."""
    model, data, said = folder / "model", folder / "data", folder / "said.txt"
    asked = trainer.data
    for words in (
        ["tiny", trainer.model, str(model)],
        ["data", asked.format, str(data), "--kind", asked.kind, "--samples", str(asked.samples)],
    ):
        if harness(words, said, folder, {}) != 0:
            raise Refused(said.read_text(encoding="utf-8").strip(), where=trainer.name, do="see harness --help")
    return {"model": str(model), "data": str(data), "scripts": str(HERE / "scripts")}


def run_case(
    asked: Asked, trainer: Trainer, case: Case, given: dict[str, str], out: Path, layer: Path | None
) -> Verdict:
    place = out / "trainers" / trainer.name.replace(" ", "-") / case.replace(" ", "-")
    shutil.rmtree(place, ignore_errors=True)
    run = trainer.runs[case]
    words = trainer.words(case, {**given, "out": str(place / "out")})
    wanted, settings = asked.caught_by.get(case, ()), trainer.environment
    shown = " ".join(trainer.words(case, {"model": "MODEL", "data": "DATA", "out": "OUT", "scripts": "SCRIPTS"}))
    more = {"wanted": wanted, "environment": settings, "kind": run.kind, "shown": shown}
    verdict = observe(case, words, run.intent, Path(given["model"]), place, layer, **more)
    said = f"{verdict.verdict} ({verdict.applied} checks, {verdict.seconds:.0f} s)"
    print(f"{trainer.name}, {trainer.model}, {case}: {said}", flush=True)
    return verdict


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Refused as refused:
        print(f"trainers: {refused}", file=sys.stderr)
        sys.exit(2)
