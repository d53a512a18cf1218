"""Trains every type of the transformers library in three ways, and writes what came of it into docs/families.md.

python docs/families.py run OUT [TYPE...]   trains, judges, and keeps the results in docs/families.json
python docs/families.py                     writes the page anew from docs/families.json
"""

from __future__ import annotations

import json
import os
import re
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
RECIPE = {
    "size": "tiny",
    "steps": 3,
    "data": {"mix": ["image", "blank"], "max_length": 16384},
    "optimizer": {"learning_rate": 2.0e-3},
}


def measured(out: Path, types: Sequence[str]) -> dict[str, Any]:
    """By type: what it is made of, and what came of its recipes. Sizes are parameters, times seconds."""
    from harness import stack
    from harness.families import library

    stack.quiet()
    out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    recipes: dict[str, Any] = {}
    for model_type in types:
        print(f"  {model_type}", end="\r", flush=True)
        entry = found[model_type] = {"class": library.model_types()[model_type]}
        if why := library.reason_refused(model_type):
            entry["refused"] = why
            continue
        try:
            family = library.by_name(f"transformers:{model_type}")
            entry |= _facts(family)
            for mode, settings in family.modes().items():
                recipes[f"{model_type}.{mode}"] = {"family": family.name, **RECIPE, **settings}
        except Exception as error:  # a type that cannot be built is a line of the table, not the end of it
            entry["error"] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    suite = out / "families.yaml"
    suite.write_text(json.dumps({"recipes": recipes}, indent=1), encoding="utf-8")
    if recipes:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "harness",
                "run",
                str(suite),
                "-n",
                str(min(os.cpu_count() or 1, 4)),
                "--history",
                "off",
                "--out",
                str(out / "run"),
            ],
            check=False,
        )
        _add_results(found, out / "run")
    return found


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
        "processor": type(family.processor).__name__,
        "tiny": sum(parameter.numel() for parameter in family.meta_model("tiny").parameters()),
        "unreached": {why: count for why, count in unreached.items() if why},
        "full": full,
        "full seconds": round(time.perf_counter() - started, 2),
        "as in memory": family.saved_keys is None,
        "pictures only": family.pictures_only,
    }


def _add_results(found: dict[str, Any], run: Path) -> None:
    lines = (run / "results.jsonl").read_text(encoding="utf-8").splitlines()
    for result in map(json.loads, lines):
        model_type, _, mode = result["recipe"].partition("/")[2].rpartition(".")
        entry = found[model_type].setdefault("recipes", {}).setdefault(mode, {"applied": 0, "failed": {}})
        if result["status"] in ("passed", "warned", "failed", "blocked"):
            entry["applied"] += result["status"] != "blocked"
        if result["status"] in ("failed", "blocked"):
            entry["failed"][result["check"]] = _why(result)
    from harness.places import folder_name
    from harness.trace.reader import read_trace

    for model_type, facts in found.items():
        for mode, of_it in facts.get("recipes", {}).items():
            trace = read_trace(run / "runs" / folder_name(f"families/{model_type}.{mode}") / "trace")
            of_it["seconds"] = round(sum(trace.measured.get("seconds", {}).values()), 2)
            if mode == "full":
                facts.update(_seen(trace))


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
            yield f"| `{name}` | {'; '.join(f'{count}: {why}' for why, count in unreached.items())} |"
    yield ""
    states = [state_of(entry) for entry in found.values()]
    yield (
        f"{len(found)} types: {states.count('passed')} pass everything that applies,"
        f" {sum(one.startswith('not to be had') for one in states)} are not to be had,"
        f" {states.count('not measured')} are not measured yet."
    )


def _size(count: Any) -> str:
    if not isinstance(count, int):
        return "" if count is None else "no model by default"
    return f"{count / 1e9:,.2f} B" if count >= 1e8 else f"{count / 1e6:.2f} M"


def _of(entry: Mapping[str, Any], what: str) -> str:
    return f"{entry[f'{what} reached']} of {entry[what]}" if what in entry else ""


def page(text: str, found: Mapping[str, Any]) -> str:
    """The page with its table written anew."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + "\n".join(table_of(found)) + "\n\n" + END + rest.partition(END)[2]


def kept() -> dict[str, Any]:
    """What was measured last, and the versions it was measured with."""
    found: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else {"types": {}}
    return found


if __name__ == "__main__":
    if len(sys.argv) > 2:
        from harness import stack
        from harness.families import library

        asked = sys.argv[3:] or list(library.tried_types())
        made = measured(Path(sys.argv[2]), asked)
        before = kept()["types"]
        types = {name: {**before, **made}.get(name) or _unmeasured(name) for name in library.tried_types()}
        everything = {"versions": stack.versions(), "types": types}
        DATA.write_text(json.dumps(everything, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        for name, one in made.items():
            print(name, state_of(one))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), kept()["types"]), encoding="utf-8")
