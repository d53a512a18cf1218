"""Trains every type of the transformers library in three ways, and writes what came of it into docs/families.md.

python docs/families.py run OUT [TYPE...]       trains, judges, and keeps the results in docs/families.json
python docs/families.py measure OUT [TYPE...]   the same, and keeps them in OUT/measured.json
python docs/families.py                         writes the page anew from docs/families.json
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE, DATA = HERE / "families.md", HERE / "families.json"
BEGIN, END = "<!-- written by docs/families.py -->\n", "<!-- end -->\n"
MODES = ("full", "vision-frozen", "lora")
SHOWN = 3  # modules of a type, before the rest is counted
RECIPE = {
    "size": "tiny",
    "steps": 3,
    "data": {"mix": ["image", "blank"], "max_length": 16384},
    "optimizer": {"learning_rate": 2.0e-3},
}


def measured(
    out: Path, types: Sequence[str], workers: int, modes: Sequence[str] = MODES
) -> tuple[dict[str, Any], dict[str, float]]:
    """By type, what it is made of, and what came of its recipes (sizes are parameters, times seconds); and what the run
    of all of them took, imports and checks included."""
    from harness import stack
    from harness.families import library
    from harness.refusal import Lacking

    stack.quiet()
    out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    cost: dict[str, float] = {}
    recipes: dict[str, Any] = {}
    for model_type in types:
        print(f"  {model_type}", end="\r", flush=True)
        entry = found[model_type] = {"class": library.model_types().get(model_type)}
        if why := library.reason_refused(model_type):
            entry["refused"] = why
            continue
        try:
            family = library.by_name(f"transformers:{model_type}")
            entry |= _facts(family)
            for mode, settings in ((mode, one) for mode, one in family.modes().items() if mode in modes):
                recipes[f"{model_type}.{mode}"] = {"family": family.name, **RECIPE, **settings}
        except Lacking:  # another release has it: that its checks do not apply is for the run to say
            recipes[f"{model_type}.full"] = {"family": f"transformers:{model_type}", **RECIPE, "tune": ["all"]}
        except Exception as error:  # a type that cannot be built is a line of the table, not the end of it
            entry["error"] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    suite = out / "families.yaml"
    suite.write_text(json.dumps({"recipes": recipes}, indent=1), encoding="utf-8")
    if recipes:
        how = ["-n", str(workers), "--history", "off", "--out", str(out / "run")]
        started, before = time.perf_counter(), _cpu_of_children()
        subprocess.run([sys.executable, "-m", "harness", "run", str(suite), *how], check=False)
        cost |= {"wall": round(time.perf_counter() - started, 1), "cpu": round(_cpu_of_children() - before, 1)}
        _add_results(found, out / "run")
    return found, {**cost, "recipes": len(recipes), "workers": workers}


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _unmeasured(model_type: str) -> dict[str, Any]:
    """What can be said of a type without training it."""
    from harness.families import library

    why = library.reason_refused(model_type)
    return {"class": library.model_types()[model_type], **({"refused": why} if why else {})}


def _facts(family: Any) -> dict[str, Any]:
    from collections import Counter

    reasons = family.tiny.unreached
    unreached = Counter(
        next((why for pattern, why in reasons.items() if re.match(pattern, path)), "")
        for path, _ in family.tiny.model.named_parameters()
    )
    started = time.perf_counter()
    try:
        full = sum(parameter.numel() for parameter in family.full.model.parameters())
    except Exception as error:
        full = f"{type(error).__name__}: the class's defaults make no model"
    return {
        "unreached modules": _modules(family, reasons),
        "processor": type(family.processor).__name__,
        "tiny": sum(parameter.numel() for parameter in family.meta_model("tiny").parameters()),
        "unreached": {why: count for why, count in unreached.items() if why},
        "full": full,
        "full seconds": round(time.perf_counter() - started, 2),
        "as in memory": family.saved_keys is None,
        "pictures only": family.pictures_only,
    }


def _modules(family: Any, reasons: Mapping[str, str]) -> dict[str, list[str]]:
    """By reason, the modules that no gradient reaches, whole where all of one is beyond reach."""
    from harness.families.library.components import widest

    paths = [path for path, _ in family.tiny.model.named_parameters()]
    found: dict[str, list[str]] = {}
    for path in paths:
        if why := next((why for pattern, why in reasons.items() if re.match(pattern, path)), ""):
            found.setdefault(why, []).append(path)
    return {why: [family.naming.canonical(one) for one in widest(met, paths)] for why, met in found.items()}


def _add_results(found: dict[str, Any], run: Path) -> None:
    from harness.places import folder_name
    from harness.trace.reader import read_trace

    for result in map(json.loads, (run / "results.jsonl").read_text(encoding="utf-8").splitlines()):
        model_type, _, mode = result["recipe"].partition("/")[2].rpartition(".")
        entry = found[model_type].setdefault("recipes", {}).setdefault(mode, {"applied": 0, "failed": {}, "not": {}})
        if result["status"] in ("failed", "blocked"):
            entry["failed"][result["check"]] = _why(result)
        elif result["status"] == "not_applicable":
            entry["not"][result["reason"]] = entry["not"].get(result["reason"], 0) + 1
        entry["applied"] += result["status"] in ("passed", "warned", "failed")
    for model_type, facts in found.items():
        for mode, of_it in facts.get("recipes", {}).items():
            folder = run / "runs" / folder_name(f"families/{model_type}.{mode}") / "trace"
            if folder.is_dir():  # nothing is run of what the installed libraries lack
                trace = read_trace(folder)
                of_it["seconds"] = round(sum(trace.measured.get("seconds", {}).values()), 2)
                facts.update(_seen(trace) if mode == "full" else {})


def _why(result: dict[str, Any]) -> str:
    findings = result.get("findings") or [{}]
    first = findings[0]
    return " | ".join(str(first[key]) for key in ("seen", "where") if first.get(key)) or result.get("reason", "")


def _seen(trace: Any) -> dict[str, Any]:
    vision = [one for one in trace.parameters if one.component in ("vision", "vision_aux")]
    moved = [one for one in trace.parameters if one.moved]
    pictures = [row for event in trace.of("data") for batch in event["pictures"] for row in batch]
    tokens = [sum(end - start for start, end in row) for row in pictures]
    return {
        "tensors": len(trace.parameters),
        "tensors reached": len(moved),
        "vision tensors": len(vision),
        "vision tensors reached": sum(one.moved for one in vision),
        "image tokens": max(tokens, default=0),
    }


def state_of(entry: dict[str, Any]) -> str:
    """In a word or two, what came of a type."""
    if "refused" in entry:
        return f"not to be had: {entry['refused']}"
    if "error" in entry:
        return entry["error"]
    if "recipes" not in entry:
        return "not measured"
    failed = [f"{mode}: {check}" for mode, one in entry.get("recipes", {}).items() for check in one["failed"]]
    return "; ".join(failed) or "passed"


def table_of(found: Mapping[str, Any]) -> Iterator[str]:
    """A line for each type: how large, how fast, what of it a gradient reaches, and what came of its recipes."""
    heads = (
        "type | full | tiny | image tokens | tensors reached | of those that see | checks applied | seconds | came to"
    )
    yield f"| {heads} |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for name, entry in sorted(found.items()):
        made = entry.get("recipes", {})
        recipes = [made[mode] for mode in MODES if mode in made]
        cells = [
            f"`{name}`",
            _size(entry.get("full")),
            _size(entry.get("tiny")),
            str(entry.get("image tokens", "")),
            _of(entry, "tensors"),
            _of(entry, "vision tensors"),
            " + ".join(str(one["applied"]) for one in recipes),
            f"{sum(one.get('seconds', 0) for one in recipes):.1f}" if recipes else "",
            state_of(entry),
        ]
        yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
    yield ""
    yield "| type | tensors that no gradient reaches, and why |"
    yield "| --- | --- |"
    for name, entry in sorted(found.items()):
        if unreached := entry.get("unreached"):
            told = (f"{count}: {why}{_some(entry, why)}" for why, count in unreached.items())
            yield f"| `{name}` | {'; '.join(told)} |"
    yield ""
    states = [state_of(entry) for entry in found.values()]
    yield (
        f"{len(found)} types: {states.count('passed')} pass everything that applies,"
        f" {sum(one.startswith('not to be had') for one in states)} are not to be had,"
        f" {states.count('not measured')} are not measured yet."
    )


def _some(entry: Mapping[str, Any], why: str) -> str:
    modules = [f"`{one}`" for one in entry.get("unreached modules", {}).get(why, ())]
    more = f" and {len(modules) - SHOWN} more" if len(modules) > SHOWN else ""
    return f" ({', '.join(modules[:SHOWN])}{more})" if modules else ""


def _size(count: Any) -> str:
    if not isinstance(count, int):
        return "" if count is None else "no model by default"
    return f"{count / 1e9:,.2f} B" if count >= 1e8 else f"{count / 1e6:.2f} M"


def _of(entry: Mapping[str, Any], what: str) -> str:
    return f"{entry[f'{what} reached']} of {entry[what]}" if what in entry else ""


def closing_line(kept: Mapping[str, Any]) -> str:
    """What all of it took, where all was measured in one run."""
    took = kept.get("run") or {}
    seconds = [
        sum(one.get("seconds", 0) for one in entry["recipes"].values())
        for entry in kept["types"].values()
        if "recipes" in entry
    ]
    median = f"The median type takes {statistics.median(seconds):.1f} s for its recipes." if seconds else ""
    whole = f" All {took['recipes']}, {took['workers']} at a time, took {took['wall']:.0f} s" if took else ""
    return median + (
        f"{whole} and {took['cpu']:.0f} s of processor time, imports and judging included." if whole else ""
    )


def page(text: str, kept: Mapping[str, Any]) -> str:
    """The page with its table written anew."""
    before, _, rest = text.partition(BEGIN)
    lines = [*table_of(kept["types"]), "", closing_line(kept)]
    return before + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + rest.partition(END)[2]


def kept() -> dict[str, Any]:
    """What was measured last, and the versions it was measured with."""
    found: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else {"types": {}}
    return found


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "measure", "write"), nargs="?", default="write")
    parser.add_argument("out", type=Path, nargs="?", default=Path("harness-out/families"))
    parser.add_argument("types", nargs="*")
    parser.add_argument("-n", type=int, default=min(os.cpu_count() or 1, 4), help="workers")
    parser.add_argument("--mode", action="append", choices=MODES, help="train this way alone; may be repeated")
    return parser.parse_args()


def main(asked: argparse.Namespace) -> None:
    from harness import stack
    from harness.families import library

    made, cost = measured(asked.out, asked.types or list(library.tried_types()), asked.n, asked.mode or MODES)
    if asked.what == "measure":
        everything = {"versions": stack.versions(), "types": made}
        (asked.out / "measured.json").write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
        return
    before = kept()["types"]
    types = {name: {**before, **made}.get(name) or _unmeasured(name) for name in library.tried_types()}
    whole = set(made) == set(types)
    everything = {"versions": stack.versions(), "types": types, "run": cost if whole else kept().get("run")}
    DATA.write_text(json.dumps(everything, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    for name, one in made.items():
        print(name, state_of(one))


if __name__ == "__main__":
    if (asked := _asked()).what != "write":
        main(asked)
    if asked.what != "measure":
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), kept()), encoding="utf-8")
