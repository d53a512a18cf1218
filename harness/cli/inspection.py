"""How `harness inspect` shows what it has found: for people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.shown import colour, print_columns
from harness.result import Finding, Severity

if TYPE_CHECKING:
    from harness.checkpoint.composing import Composed
    from harness.checkpoint.inspecting import Inspection
    from harness.checkpoint.repair import Repaired

_WORTH_SAYING = ("--base", "cannot be read", "cannot be built")
"""What a reason says that the user can do something about."""


def record(seen: Inspection, repaired: Repaired | None, composed: Composed | None) -> dict[str, Any]:
    """All facts."""
    saved = seen.saved
    tensors = {
        key: {**facts, **({"fingerprint": seen.scanned[key].fingerprint} if key in seen.scanned else {})}
        for key, facts in saved.tensors.items()
    }
    return {
        "directory": str(saved.path),
        "kind": seen.kind,
        "files": sorted(path.name for path in saved.path.iterdir()),
        "damaged": sorted(saved.damaged),
        "tensors": tensors,
        "roles": saved.played,
        "code": {"named": list(saved.code.named), "missing": list(saved.code.missing)},
        "pickled": _pickled(saved.path),
        "adapter": asdict(seen.fit) if seen.fit else None,
        "findings": [{"about": about(name, f), "check": name, **f.to_json()} for name, f in seen.findings],
        "judged": list(seen.judged),
        "not_judged": dict(seen.not_judged),
        "copied": repaired.copied if repaired else [],
        "written": repaired.written if repaired else [],
        "composed": {"component": composed.component, "taken": list(composed.taken), "kept": list(composed.kept)}
        if composed
        else None,
    }


def about(name: str, finding: Finding) -> str:
    """What a finding is about, in a word or two: the role that is missing, or the check."""
    return getattr(finding, "role", "") or name.removeprefix("inspect.")


def print_inspection(
    seen: Inspection, base: Path | None, repair: bool, repaired: Repaired | None, composed: Composed | None
) -> None:
    """The directory, what was done, each finding, and the counts."""
    saved = seen.saved
    if composed:
        _print_composed(composed)
    elif base is None:
        tensors = sorted(saved.tensors.items())
        print_columns([[key, str(facts["shape"]), facts["dtype"], facts["file"]] for key, facts in tensors])
    else:  # what plays a role is compared, and hundreds of tensors would hide it
        print_columns([[role, ", ".join(files)] for role, files in saved.played.items()])
    if known := list(_known(seen)):
        print_columns(known)
    if repaired and repaired.copied:
        print_columns([[name, f"copied from {base}"] for name in repaired.copied])
    _print_findings(seen)
    if repair and not repaired:
        print("nothing that is missing can be copied: no copy was made")
    if seen.fit and seen.fit.fits:
        vain = f"; {', '.join(seen.fit.unmet)} among its targets meets nothing there" if seen.fit.unmet else ""
        print(f"the adapter fits {base}, by its {seen.fit.names}{vain}")
    for reason, names in _not_judged(seen).items():
        print(f"not judged: {', '.join(names)}: {reason}")
    for name in repaired.written if repaired else ():
        print(f"{name}: written from the shards' own keys")
    if repaired:
        print(f"{repaired.directory}: completed")
    print(_counts(seen))


def _print_composed(composed: Composed) -> None:
    from harness.checkpoint.composing import component_of
    from harness.wording import count

    rows = [[composed.component, count(len(composed.taken), "tensor"), "from the tuned save"]]
    kept: dict[str, int] = {}
    for key in composed.kept:
        kept[component_of(key)] = kept.get(component_of(key), 0) + 1
    rows += [[component, count(number, "tensor"), "from the base"] for component, number in sorted(kept.items())]
    print_columns(rows)
    print(f"{composed.directory}: composed")


def _print_findings(seen: Inspection) -> None:
    if not seen.findings:
        return  # the reports take longer to import than a directory to judge
    from harness.report import failure_block
    from harness.result import Result, Status

    for name, finding in seen.findings:
        status = Status.FAILED if finding.severity is Severity.ERROR else Status.WARNED
        result = Result(str(seen.saved.path), about(name, finding), status, findings=(finding,))
        print(f"\n{failure_block(result, colour=colour())}")
    print()


def _not_judged(seen: Inspection) -> dict[str, list[str]]:
    """By reason, the checks that it kept from being made."""
    found: dict[str, list[str]] = {}
    for name, reason in seen.not_judged.items():
        if any(word in reason for word in _WORTH_SAYING):
            found.setdefault(reason, []).append(name.removeprefix("inspect."))
    return found


def _counts(seen: Inspection) -> str:
    from harness.wording import count

    files = {facts["file"] for facts in seen.saved.tensors.values()}
    warnings = len(seen.findings) - seen.errors
    wrong = f", {count(seen.errors, 'problem')}" if seen.errors else ""
    wrong += f", {count(warnings, 'warning')}" if warnings else ""
    return f"{len(seen.saved.tensors)} tensors in {len(files)} files{wrong}"


def _pickled(directory: Path) -> list[str]:
    from harness.checkpoint.inventory import file_names
    from harness.checkpoint.pickles import is_pickled

    return [name for name in file_names(directory) if is_pickled(directory / name)]


def _known(seen: Inspection) -> Iterator[list[str]]:
    """Files that are nobody's business but to be known: a trainer's own, and pickles."""
    trainers, pickled = seen.saved.played.get("trainer", []), _pickled(seen.saved.path)
    for name in sorted({*trainers, *pickled}):
        words = ["the trainer's own"] if name in trainers else []
        if name in pickled:
            read = name in seen.saved.files
            words.append("a pickle, of which only the tensors were read" if read else "a pickle, never loaded")
        yield [name, ", ".join(words)]
