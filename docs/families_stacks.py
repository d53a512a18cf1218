"""The same types under the libraries of other years: made, trained and judged under each, and held against the newest.

python docs/families_stacks.py run OUT [TYPE...]   measures, and keeps the results in docs/families_stacks.json
python docs/families_stacks.py                     writes the page anew from docs/families_stacks.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.comparator import Comparison
    from harness.stacks import AskedStack
    from harness.trace.reader import Trace

HERE = Path(__file__).parent
PAGE, DATA = HERE / "families.md", HERE / "families_stacks.json"
STACKS = HERE.parent / "suites" / "compat" / "stacks.yaml"
OLDER = HERE.parent / "tests" / "families" / "test_older_overrides.py"
BEGIN, END = "<!-- written by docs/families_stacks.py -->\n", "<!-- end of stacks -->\n"
NEWEST = "5.23"
# Of each release some well-known ones; what is slow, and the second of two that are made alike, is left out.
TYPES = (
    *("blip-2", "idefics2", "kosmos-2", "llava", "llava_next", "llava_onevision", "mllama", "paligemma", "qwen2_vl"),
    *("video_llava", "vipllava"),
    *("gemma3", "idefics3", "internvl", "mistral3", "qwen2_5_vl"),
    *("deepseek_vl", "glm4v", "qwen3_vl"),
    *("glm46v", "paddleocr_vl", "exaone4_5"),
)
ENDED = "run.completed"
MODES = {"full": (), "lora": ("lora", "peft")}  # with the settings that name parts of a model, which may differ


TRAINED = [word for mode in MODES for word in ("--mode", mode)]


def measured(out: Path, types: Sequence[str], stacks: Sequence[str] | None) -> dict[str, Any]:
    """By stack and type, what came of its recipes there, and how its runs compare with those of the newest."""
    from harness.stacks import read_stacks

    out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    for asked in reversed(read_stacks(STACKS)):
        if stacks and asked.name not in (*stacks, NEWEST):
            continue
        made = _made(asked, out / asked.name, types)
        found[asked.name] = {"versions": made["versions"], "types": {}}
        for name, entry in made["types"].items():
            found[asked.name]["types"][name] = _of_type(name, entry, out, asked.name)
    return found


def _made(asked: AskedStack, out: Path, types: Sequence[str]) -> dict[str, Any]:
    """What came of the types under a stack: as it lies there, if they have been measured before. What the table of
    overrides has for older releases is shown to be needed there."""
    from harness.stacks import Layers

    file = out / "measured.json"
    if not file.exists():
        command = [sys.executable, str(HERE / "families.py"), "measure", str(out), *types, "-n", "1", *TRAINED]
        environment = {**os.environ, **Layers(say=print).one(asked).environment}
        subprocess.run(command, check=True, env=environment)
        subprocess.run([sys.executable, "-m", "pytest", "-q", str(OLDER)], check=True, env=environment)
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _of_type(name: str, entry: Mapping[str, Any], out: Path, stack: str) -> dict[str, Any]:
    recipes = entry.get("recipes", {})
    lacking = {reason for one in recipes.values() if not one["applied"] for reason in one["not"]}
    if "error" in entry or "refused" in entry or lacking:
        return {"error": entry.get("error") or entry.get("refused") or "", "lacking": sorted(lacking)}
    passed = {mode: one["applied"] - len(one["failed"]) for mode, one in recipes.items()}
    failed = {mode: _at_first(one["failed"]) for mode, one in recipes.items() if one["failed"]}
    compared = {mode: _compared(name, mode, out, stack) for mode in recipes} if stack != NEWEST else {}
    return {"passed": passed, "failed": failed, "compared": {mode: one for mode, one in compared.items() if one}}


def _at_first(failed: Mapping[str, str]) -> Mapping[str, str]:
    """What failed; of a run that did not come to its end nothing else says anything."""
    return {ENDED: failed[ENDED]} if ENDED in failed else failed


def _compared(name: str, mode: str, out: Path, stack: str) -> dict[str, Any]:
    """How a run compares with that of the newest release: in a word, the first difference, and what was renamed."""
    from harness.places import folder_name
    from harness.trace.reader import read_trace

    folders = [out / one / "run" / "runs" / folder_name(f"families/{name}.{mode}") / "trace" for one in (stack, NEWEST)]
    if not all(folder.is_dir() for folder in folders):
        return {}
    traces = list(map(read_trace, folders))
    if not all(trace.header.get("environment") for trace in traces):  # it ended before it began to train
        return {}
    found, left = _held_against(*traces, MODES[mode])
    word = found.verdict.value if found.reasons or left else "equal" if found.verdict == "equal" else "within_tolerance"
    about = found.reasons[:1] if found.reasons else left[:1]
    return {"verdict": word, "first": next(map(str, about), ""), "renamed": list(found.renamed)}


def _held_against(then: Trace, now: Trace, may_differ: Sequence[str]) -> tuple[Comparison, list[Any]]:
    """The comparison of a run of a release with that of the newest, and the differences that no rule knows."""
    from harness.comparator import across_stacks, compare
    from harness.golden.releases import by_rule
    from harness.golden.seen import with_inputs_and_loads

    tolerances = with_inputs_and_loads(across_stacks(then, now))
    found = compare(then, now, tolerances, may_differ=("data", *may_differ))
    versions = [trace.header["environment"]["versions"] for trace in (then, now)]
    return found, by_rule(found.differences, versions[0], versions[1], now.naming)[0]


def table_of(found: Mapping[str, Any]) -> Iterator[str]:
    """A row for each type, a column for each stack; then what was renamed."""
    stacks = sorted(found, key=lambda name: [int(part) for part in name.split(".")])
    types = dict.fromkeys(name for stack in stacks for name in found[stack]["types"])
    yield f"| type | {' | '.join(found[stack]['versions']['transformers'] for stack in stacks)} |"
    yield f"| --- |{' --- |' * len(stacks)}"
    for name in types:
        yield f"| `{name}` | {' | '.join(cell_of(found[stack]['types'].get(name)) for stack in stacks)} |"
    yield from _told("what its modules are called there, and in 5.23", types, partial(_renamings, found, stacks))
    differs = "what differs first, there and in 5.23, or what failed"
    yield from _told(differs, types, partial(_differences, found, stacks))


def _told(what: str, types: Iterable[str], of: Callable[[str], Mapping[str, list[str]]]) -> Iterator[str]:
    """A row for each thing that is to be said of a type, with the stacks under which it is so."""
    yield ""
    yield f"| type | under | {what} |"
    yield "| --- | --- | --- |"
    for name in types:
        for told, under in of(name).items():
            yield f"| `{name}` | {', '.join(under)} | {told.replace('|', '/')} |"


def _renamings(found: Mapping[str, Any], stacks: Sequence[str], name: str) -> dict[str, list[str]]:
    """What was renamed, and the stacks under which it is so."""
    full = {stack: _entry(found, stack, name).get("compared", {}).get("full", {}) for stack in stacks}
    return _by_text((stack, "; ".join(one.get("renamed", ()))) for stack, one in full.items())


def _differences(found: Mapping[str, Any], stacks: Sequence[str], name: str) -> dict[str, list[str]]:
    """The first thing in which a run differs from the newest's, or the first finding, and the stacks where it is so."""
    entries = {stack: _entry(found, stack, name) for stack in stacks}
    failed = ((stack, _first_failure(one)) for stack, one in entries.items())
    differs = (
        (stack, next((c["first"] for c in one.get("compared", {}).values() if c["verdict"] not in AGREES), ""))
        for stack, one in entries.items()
    )
    return _by_text((*failed, *differs))


def _first_failure(entry: Mapping[str, Any]) -> str:
    checks = next(iter(entry.get("failed", {}).values()), {})
    return next((f"{check}: {why}" for check, why in checks.items()), "")


def _entry(found: Mapping[str, Any], stack: str, name: str) -> Mapping[str, Any]:
    return found[stack]["types"].get(name) or {}


def _by_text(told: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Stacks by what is to be said of them."""
    by_text: dict[str, list[str]] = {}
    for stack, text in told:
        if text:
            by_text.setdefault(text, []).append(stack)
    return by_text


def cell_of(entry: Mapping[str, Any] | None) -> str:
    """In a few words, what came of a type under a stack."""
    if entry is None:
        return ""
    if entry.get("lacking"):
        return "not applicable"
    if entry.get("error"):
        return entry["error"].replace("|", "/")
    if entry["failed"]:
        by_check: dict[str, list[str]] = {}
        for mode, checks in entry["failed"].items():
            for check in checks:
                by_check.setdefault(check, []).append(mode)
        return "**" + "; ".join(f"{check} ({', '.join(modes)})" for check, modes in by_check.items()) + "**"
    return f"{sum(entry['passed'].values())} passed{_against(entry['compared'])}"


def _against(compared: Mapping[str, Any]) -> str:
    """How the runs compare with the newest's, in a word where all are alike."""
    words = {mode: WORDS[one["verdict"]] for mode, one in compared.items()}
    if len(set(words.values())) == 1:
        return f", {next(iter(words.values()))}"
    return "".join(f", {mode} {word}" for mode, word in words.items())


AGREES = ("equal", "within_tolerance")
WORDS = {"equal": "alike bit for bit", "within_tolerance": "alike", "different": "other", "not_comparable": "another"}


def page(text: str, found: Mapping[str, Any]) -> str:
    """The page with its tables written anew."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + "\n".join(table_of(found)) + "\n\n" + END + rest.partition(END)[2]


def kept() -> dict[str, Any]:
    """What was measured last, by stack."""
    found: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else {}
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "write"), nargs="?", default="write")
    parser.add_argument("out", type=Path, nargs="?", default=Path("harness-out/families-stacks"))
    parser.add_argument("types", nargs="*")
    parser.add_argument("--stack", action="append", help="this one and the newest alone; may be repeated")
    asked = parser.parse_args()
    if asked.what == "run":
        everything = kept()
        for stack, made in measured(asked.out, asked.types or TYPES, asked.stack).items():
            made["types"] = {**everything.get(stack, {}).get("types", {}), **made["types"]}
            everything[stack] = made
        DATA.write_text(json.dumps(everything, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), kept()), encoding="utf-8")
