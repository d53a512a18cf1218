"""How far runs are from their goldens: of each step the loss and the weights, of both traces, side by side."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.comparator.arrays_of import final_values
from harness.golden.archive import unpacked, write_files
from harness.golden.index import has_goldens, read_index
from harness.places import folder_name
from harness.refusal import Refused
from harness.report.evidence import Values
from harness.report.traced import losses
from harness.trace.parameter import Parameter
from harness.trace.reader import Trace, read_trace

PREFIX = "golden."
_DAMAGE = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError)
# Where verifying leaves the traces of then and now: a gate in a folder beside its results.
_KEPT = (Path(), Path("golden-runs"))


@dataclass(frozen=True)
class Drift:
    """The size of the difference at each step, and of the last weights; `why` says what keeps it from being told.

    `weights` is the largest difference between a tensor's root mean square then and now, `parted` how many tensors have
    other bits, `last` the largest difference of any element at the end, and `where` that is.
    """

    steps: tuple[int, ...] = ()
    loss: Values = ()
    weights: Values = ()
    parted: tuple[int, ...] = ()
    tensors: int = 0
    last: float | None = None
    where: str = ""
    why: str = ""


def drifts(folders: Iterable[Path], recipes: Iterable[str], goldens: Path | None) -> dict[str, Drift]:
    """Of each recipe that was held against a golden."""
    folders = list(folders)
    return {recipe: _of(folders, recipe, goldens) for recipe in recipes}


def _of(folders: list[Path], recipe: str, goldens: Path | None) -> Drift:
    name = folder_name(recipe)
    try:
        with tempfile.TemporaryDirectory(prefix="harness-golden-") as scratch:
            then = _kept(folders, "pinned", name) or _archived(goldens, recipe, Path(scratch))
            now = _kept(folders, "now", name) or _kept(folders, "runs", name)
            if then is None or now is None:
                which = "golden" if then is None else "run"
                return Drift(why=f"The {which}'s trace does not lie beside the results.")
            return drift_of(read_trace(then), read_trace(now))
    except Refused as refused:
        return Drift(why=f"It cannot be read: {refused.what}")
    except OSError as error:
        return Drift(why=f"It cannot be read: {error.strerror or type(error).__name__}")
    except _DAMAGE:
        return Drift(why="The two traces contradict themselves or each other.")


def _kept(folders: Iterable[Path], kind: str, name: str) -> Path | None:
    places = (folder / below / kind / name / "trace" for folder in folders for below in _KEPT)
    return next((place for place in places if (place / "header.json").exists()), None)


def _archived(goldens: Path | None, recipe: str, scratch: Path) -> Path | None:
    """The trace of a golden, taken out of its archive."""
    if goldens is None or not has_goldens(goldens):
        return None
    entry = read_index(goldens).get(recipe)
    if entry is None or not (goldens / entry.file).exists():
        return None
    files = unpacked(goldens / entry.file)
    write_files({name: data for name, data in files.items() if name.startswith("trace/")}, scratch)
    return scratch / "trace"


def drift_of(then: Trace, now: Trace) -> Drift:
    """The differences of two traces of one recipe."""
    numbers = {step["step"] for step in now.steps}
    steps = tuple(step["step"] for step in then.steps if step["step"] in numbers)
    pairs = list(_pairs(then, now))
    sizes, parted = _by_step(then, now, steps, pairs)
    last, where = _last(then, now, pairs)
    loss = tuple(map(_apart, losses(then, steps), losses(now, steps)))
    return Drift(steps, loss, sizes, parted, len(pairs), last, where)


def _pairs(then: Trace, now: Trace) -> Iterator[tuple[Parameter, Parameter]]:
    """The same parameter in both, by key and role; what has no partner is for the golden's own checks to tell."""
    by_name: Mapping[tuple[str, str, str], Parameter] = {_name(p): p for p in now.parameters}
    yield from ((p, by_name[_name(p)]) for p in then.parameters if _name(p) in by_name)


def _name(parameter: Parameter) -> tuple[str, str, str]:
    return parameter.key, parameter.role, parameter.path.rpartition(".")[2]


def _by_step(
    then: Trace, now: Trace, steps: tuple[int, ...], pairs: list[tuple[Parameter, Parameter]]
) -> tuple[Values, tuple[int, ...]]:
    sizes: list[float | None] = []
    parted: list[int] = []
    for step in steps:
        before, after = (_values_at(trace, step) for trace in (then, now))
        differ = [
            (one.index, other.index)
            for one, other in pairs
            if before["fingerprint"][one.index] != after["fingerprint"][other.index]
        ]
        apart = [_apart(before["rms"][one], after["rms"][other]) for one, other in differ]
        sizes.append(max((size for size in apart if size is not None), default=0.0))
        parted.append(len(differ))
    return tuple(sizes), tuple(parted)


def _values_at(trace: Trace, step: int) -> dict[str, list[str]]:
    event = next(event for event in reversed(trace.steps) if event["step"] == step)
    values: dict[str, dict[str, list[str]]] = event["values"]
    return next(iter(values.values()), {})


def _last(then: Trace, now: Trace, pairs: list[tuple[Parameter, Parameter]]) -> tuple[float | None, str]:
    """The largest difference of any element at the end, of what a golden keeps: all that trained."""
    before, after = final_values(then), final_values(now)
    found: tuple[float | None, str] = (None, "")
    for one, other in pairs:
        first, second = before.get(one.index), after.get(other.index)
        if first is None or second is None or first.shape != second.shape or not first.size:
            continue
        size = float(abs(first.astype("float64") - second.astype("float64")).max())
        if found[0] is None or not size <= found[0]:
            found = (size, one.key)
    return found if found[0] else (found[0], "")


def _apart(first: object, second: object) -> float | None:
    """How far apart two numbers are; equal ones of any kind are not, and one that is missing has no distance."""
    if first is None or second is None:
        return None
    one, other = float(str(first)), float(str(second))
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    return abs(one - other)
