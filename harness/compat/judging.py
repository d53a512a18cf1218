"""What a load came to, held against what the saving stack saw: one word, and the names and figures behind it.

The saving stack's own reload is held against its model in memory, by the checks of every run; other stacks' loads
against that reload.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from harness.checks import CHECKS
from harness.checks.judging import judge
from harness.comparator import Difference, FieldComparison, Observed, Place, across_stacks, compare_observed
from harness.compat.loading import Loaded
from harness.compat.saving import Saved
from harness.compat_table import Cell, Gap, Outcome
from harness.families import family_of
from harness.golden.seen import GENERATED, OUTPUTS, PARTS, PIXELS, load_seen, with_inputs_and_loads
from harness.result import Finding, Result, Status
from harness.trace.arrays import read_arrays
from harness.trace.reader import Trace

TOKENS, TEMPLATE, WEIGHTS = "encoded tokens", "chat template", "loaded weights"
WORDS = {TOKENS: "tokens", TEMPLATE: "chat template", PIXELS: "pixels", WEIGHTS: "weights", OUTPUTS: "logits"}
WORDS[GENERATED] = "generated ids"
ORDER = tuple(WORDS)
OF_CHECKS = {
    "saved_directory_loads": "loading",
    "processor_reloads": "processor",
    "reloaded_parameters_equal": "weights",
    "reloaded_outputs_equal_image": "logits",
    "reloaded_outputs_equal_text": "logits",
    "reloaded_generation_equal": "generated ids",
}
RAISED = ("DirectoryDoesNotLoad", "WrongBase", "ProcessorLost")
_NAMES = re.compile(r"'([\w.]+)'")


def not_saved(saved: Saved, loading: str) -> Cell:
    """The cell of a directory that is not there."""
    if saved.lacking:
        word, status, reason = Outcome.NOT_APPLICABLE, Status.NOT_APPLICABLE, f"{saved.stack} cannot make it: "
        return _cell(saved, loading, word, status=status, reason=f"{reason}{saved.lacking}")
    return _cell(saved, loading, Outcome.ERROR, error=f"not saved under {saved.stack}: {saved.error}")


def own_cell(loaded: Loaded) -> Cell:
    """What a stack makes of its own save."""
    lost = _lost(loaded, None)
    failed = [result for result in _own_results(loaded) if result.status in (Status.FAILED, Status.BLOCKED)]
    if error := _error(loaded, None):
        return _of(loaded, Outcome.ERROR, error=error, **lost)
    if not failed:
        return _of(loaded, Outcome.LOADS)
    kinds = [(one.check, finding) for one in failed for finding in one.findings]
    raised = next((finding for _, finding in kinds if finding.kind in RAISED), None)
    words = tuple(dict.fromkeys(OF_CHECKS[one.check] for one in failed))
    gap = _gap_of(*kinds[0]) if kinds else Gap(field=words[0], where="", first="", second=failed[0].reason)
    if raised:
        return _of(loaded, Outcome.ERROR, error=raised.seen, **lost)
    if any(finding.kind == "KeysLost" for _, finding in kinds):
        return _of(loaded, Outcome.KEYS_LOST, differing=words, largest=gap, **lost)
    return _of(loaded, Outcome.OUTPUTS_DIFFER, differing=words, largest=gap)


def other_cell(loaded: Loaded, own: Loaded) -> Cell:
    """What another stack makes of a save that its own has loaded, too."""
    lost = _lost(loaded, own)
    if error := _error(loaded, own):
        return _of(loaded, Outcome.ERROR, error=error, **lost)
    then = loaded.saved.trace
    assert then is not None
    tolerances = with_inputs_and_loads(across_stacks(then, then), loaded.saved.wanted.recipe)
    fields, differences = compare_observed(list(seen(own.trace)), list(seen(loaded.trace)), tolerances)
    differing = tuple(name for name in ORDER if any(one.place.field == name for one in differences))
    told = {"differing": tuple(WORDS[name] for name in differing), "tolerances": tolerances.name}
    warned = _warned(loaded, own)
    if any(lost.values()) or warned:
        missing = lost["missing"] or (_not_arrived(differences) if warned else ())
        return _of(loaded, Outcome.KEYS_LOST, **told, **{**lost, "missing": missing}, largest=_largest(fields))
    if differing:
        return _of(loaded, Outcome.OUTPUTS_DIFFER, **told, largest=_largest(fields, differing[:1]))
    return _of(loaded, Outcome.LOADS, **told, largest=_largest(fields, (OUTPUTS, PIXELS)))


def seen(trace: Trace) -> Iterator[Observed]:
    """What is compared across stacks: inputs, weights, outputs. Classes have other names in each."""
    yield from (one for one in load_seen(trace) if one.place.field in WORDS)
    arrays = (trace.reloaded or {}).get("pixel_arrays")
    for name, values in sorted(read_arrays(trace.directory / "reload" / arrays).items()) if arrays else ():
        yield Observed(Place("reloaded", PIXELS, subject=name), values)


def _own_results(loaded: Loaded) -> list[Result]:
    recipe = loaded.saved.wanted.recipe
    intent = family_of(recipe).intent(recipe)
    return [
        judge(check, loaded.saved.wanted.recipe_id, intent, loaded.trace) for check in CHECKS.named(list(OF_CHECKS))
    ]


def _gap_of(check: str, finding: Finding) -> Gap:
    return Gap(field=OF_CHECKS[check], where=finding.where, first=finding.expected, second=finding.seen)


def _error(loaded: Loaded, own: Loaded | None) -> str:
    """The error of the first part that does not load here, though it did there."""
    before = own.record if own else {}
    found = (f"{part}_error" for part in PARTS)
    name = next((name for name in found if name in loaded.record and name not in before), "")
    return f"{name.removesuffix('_error')}: {loaded.record[name]}" if name else ""


def _lost(loaded: Loaded, own: Loaded | None) -> dict[str, tuple[str, ...]]:
    """The keys that loading missed, did not know or could not fit here, and did there; all of them for its own. What
    was missed has its published name, what nobody knows the name that it has in the file."""
    naming = loaded.trace.naming
    found = {}
    for kind in ("missing", "unexpected", "mismatched"):
        before = {naming.canonical(key) for key in own.record.get(kind, ())} if own else set()
        new = {key for key in loaded.record.get(kind, ()) if naming.canonical(key) not in before}
        found[kind] = tuple(sorted({naming.canonical(key) for key in new} if kind == "missing" else new))
    return found


def _warned(loaded: Loaded, own: Loaded) -> bool:
    """Whether peft warned of keys of the adapter, which it does instead of raising, and did not there."""
    return bool(loaded.record.get("adapter_warnings")) and not own.record.get("adapter_warnings")


def _not_arrived(differences: Sequence[Difference]) -> tuple[str, ...]:
    return tuple(sorted({one.place.subject for one in differences if one.place.field == WEIGHTS}))


def _largest(fields: Sequence[FieldComparison], names: Sequence[str] = (OUTPUTS, *ORDER)) -> Gap | None:
    """The largest difference of the first of the named fields that has any."""
    by_name = {one.field: one for one in fields}
    found = next((by_name[name].largest for name in names if name in by_name and by_name[name].largest), None)
    return _gap(found) if found else None


def _gap(one: Difference) -> Gap:
    word = WORDS[one.place.field]
    sizes = {"absolute": one.absolute, "relative": one.relative}
    return Gap(field=word, where=one.place.subject, first=one.first, second=one.second, **sizes)


def _of(loaded: Loaded, outcome: Outcome, **more: Any) -> Cell:
    return _cell(loaded.saved, loaded.stack, outcome, seconds=loaded.seconds, **more)


def _cell(saved: Saved, loading: str, outcome: Outcome, **more: Any) -> Cell:
    status = Status.PASSED if outcome is Outcome.LOADS else Status.FAILED
    place = {"recipe": saved.wanted.recipe_id, "saved_under": saved.stack, "loaded_under": loading}
    return Cell(**{**place, "outcome": outcome, "status": status, **more})
