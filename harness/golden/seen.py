"""What a golden is held against beyond two runs: inputs, and what comes of loading its checkpoint.

Each is a list of observations for the one comparator, with the tolerances of another stack where a figure may differ.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from harness.comparator import BITWISE, Difference, Observed, Place, Tolerance, Tolerances
from harness.comparator.tolerances import COMPUTED_IN_16_BITS
from harness.places import INPUTS, RELOAD
from harness.recipe import Recipe
from harness.recipe.fields import EarlierRecipe
from harness.recipe.starting import base_and_parts, saved_by
from harness.trace.arrays import read_arrays
from harness.trace.naming import Naming
from harness.trace.reader import Record, Trace

OUTPUTS, GENERATED = "outputs of the old checkpoint", "generated ids of the old checkpoint"
PIXELS, PIXEL_DIGESTS = "input pixels", "encoded pixels"
CLASSES = ("tokenizer_class", "processor_class", "model_class")
PARTS = ("tokenizer", "model", "outputs", "vocabulary", "processor")
_TOKENS = ("input_ids", "attention_mask", "token_type_ids")
_IMAGE_BACKENDS = Tolerance(
    absolute=0.03,
    origin="measured: PIL's and torchvision's image processors are up to 0.028 apart on normalised pixels, two of 255"
    " levels",
)


def with_inputs_and_loads(tolerances: Tolerances, recipe: Recipe | None = None) -> Tolerances:
    """Tolerances for two runs, and with them those for inputs and for a checkpoint that is loaded and not trained.

    What a recipe starts from is read from files. Where those come of an earlier recipe's run they may differ as that
    run may, and so may all that comes of them.
    """
    if tolerances is BITWISE:
        return tolerances
    loaded = tolerances.tolerance("outputs") or COMPUTED_IN_16_BITS.of["outputs"]
    left_out = {PIXEL_DIGESTS, *({GENERATED} if tolerances.tolerance("generated ids") is None else ())}
    earlier = _earlier_reach(recipe) if recipe else 0.0
    left_out |= {"first value"} if earlier else set()
    of = {name: replace(one, absolute=one.absolute + one.reach * earlier) for name, one in tolerances.of.items()}
    of |= {OUTPUTS: loaded, PIXELS: _IMAGE_BACKENDS}
    return replace(tolerances, of=of, left_out=tolerances.left_out | left_out)


def _earlier_reach(recipe: Recipe) -> float:
    """How far the optimizers of the runs before this one may have moved an element: their rates, step by step."""
    base, parts = base_and_parts(recipe)
    earlier = [saved_by(one) for one in (base, *(part.source for part in parts)) if isinstance(one, EarlierRecipe)]
    return sum(one.steps * _rate(one) + _earlier_reach(one) for one in earlier)


def _rate(recipe: Recipe) -> float:
    return max(recipe.optimizer.learning_rate, *recipe.optimizer.component_rates.values(), 0.0)


def inputs_seen(directory: Path, trace: Trace) -> Iterator[Observed]:
    """The tokens of each sample and of each probe, and the probes' pixels."""
    data: Record = next(iter(trace.of("data")), {})
    yield Observed(Place("before", "data"), data.get("digest"))
    samples, fingerprints = (list(chain.from_iterable(data.get(name, ()))) for name in ("samples", "fingerprints"))
    for number, (sample, digest) in enumerate(zip(samples, fingerprints, strict=False)):
        yield Observed(Place("before", "tokens", subject=f"sample {number} ({sample})"), digest)
    for name, values in sorted(read_arrays(directory / RELOAD / INPUTS).items()):
        if values.dtype.kind == "f":
            yield Observed(Place("before", PIXELS, subject=name), values)
        else:
            value = (*values.shape, *values.reshape(-1).tolist())
            yield Observed(Place("before", "input tokens", subject=name), value)


def movement_seen(trace: Trace) -> Iterator[Observed]:
    """Which parameters trained at all: of what never moves a golden keeps no values."""
    for parameter in trace.parameters:
        place = Place("after", "moved", subject=f"{parameter.key} ({parameter.role})")
        yield Observed(place, parameter.moved, parameter.component)


def load_seen(trace: Trace) -> Iterator[Observed]:
    """What loading a checkpoint came to. Keys that were missed are told by `keys_parted`."""
    record: Record = trace.reloaded or {}
    for part in PARTS:
        yield Observed(Place("reloaded", f"loading the {part}"), record.get(f"{part}_error", "no error"))
    for name in (*CLASSES, "chat_template"):
        yield Observed(Place("reloaded", name.replace("_", " ")), record.get(name))
    yield Observed(Place("reloaded", "ties"), _plain(record.get("ties", {})))
    yield Observed(Place("reloaded", "vocabulary"), _plain(record.get("vocabulary", {})))
    for key, digest in _by_key(record.get("fingerprints", {}), trace.naming).items():
        yield Observed(Place("reloaded", "loaded weights", subject=key), digest, trace.naming.component(key))
    for prompt, inputs in sorted(record.get("encoded", {}).items()):
        for name, digest in sorted(inputs.items()):
            field = "encoded tokens" if name in _TOKENS else PIXEL_DIGESTS
            yield Observed(Place("reloaded", field, subject=f"{prompt}/{name}"), digest)
    for name, ids in sorted(record.get("generated", {}).items()):
        yield Observed(Place("reloaded", GENERATED, subject=name), tuple(ids))
    if record.get("arrays"):
        for name, values in sorted(read_arrays(Path(trace.directory) / "reload" / record["arrays"]).items()):
            yield Observed(Place("reloaded", OUTPUTS, subject=name), values)


def keys_parted(then: Trace, now: Trace) -> Iterator[Difference]:
    """Keys that loading misses, does not know or cannot fit now, and did not then; or the reverse. Each by its name."""
    for what in ("missing", "unexpected", "mismatched"):
        before, after = (
            {now.naming.canonical(key) for key in (trace.reloaded or {}).get(what, ())} for trace in (then, now)
        )
        for keys, first, second in ((after - before, f"not {what}", what), (before - after, what, f"not {what}")):
            for key in sorted(keys):
                place = Place("reloaded", f"{what} keys", subject=key)
                yield Difference("different", place, now.naming.component(key), first, second)


def _by_key(by_path: Mapping[str, str], naming: Naming) -> dict[str, str]:
    """By canonical key, under which library versions agree; by path where a key is that of several parameters."""
    keys = {path: naming.canonical(path) for path in by_path}
    shared = _repeated(keys.values())
    return {path if key in shared else key: by_path[path] for path, key in keys.items()}


def _repeated(names: Collection[str]) -> set[str]:
    seen: set[str] = set()
    return {name for name in names if name in seen or seen.add(name)}  # type: ignore[func-returns-value]


def _plain(value: Any) -> Any:
    """Nested values as tuples, in an order of their own."""
    if isinstance(value, Mapping):
        return tuple((name, _plain(value[name])) for name in sorted(value))
    return tuple(map(_plain, value)) if isinstance(value, list) else value
