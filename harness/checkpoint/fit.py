"""Does an adapter fit a base? Told from the names and shapes of both, before anything is loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.checkpoint.adapter import Adapter, AdapterTensor, Shape, read_adapter
from harness.checkpoint.json_files import CONFIG, entries
from harness.checkpoint.native import native_files
from harness.checkpoint.problems import promised
from harness.checkpoint.tensors import described, weight_files
from harness.refusal import Refused
from harness.wording import listed

_QUANTIZED = ("U8", "I8", "I32", "U32", "F4")  # packed: its shape is not that of the weight


@dataclass(frozen=True)
class Fit:
    """How an adapter meets a base. `diagnosis` is empty where it fits, and one line where it does not."""

    fits: bool
    unmet: tuple[str, ...]
    """Targets and modules to save that meet no module of the base."""
    absent: tuple[str, ...]
    """Modules that the adapter has tensors for and the base has not."""
    prefixes: tuple[str, str] | None
    """The adapter's and the base's, where its modules are all in the base under another."""
    shapes: tuple[str, ...]
    """A line for each module whose shape is another."""
    names: str
    """What the base was known by: its module paths, or the names in its checkpoint."""
    diagnosis: str


def adapter_fit(
    adapter: Path,
    module_paths: Collection[str] | None = None,
    *,
    base: Path | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Fit:
    """Hold an adapter's directory against the module paths of a base, or against the names in the base's checkpoint.

    `base` is the base's directory, `shapes` the shapes of its parameters by name. Raises Refused for an adapter that
    cannot be read, or where there is nothing to hold it against.
    """
    own = read_adapter(adapter)
    by_checkpoint = module_paths is None
    if module_paths is None:
        if base is None:
            raise Refused("there is no base to hold the adapter against", where=str(adapter), do="name one")
        shapes = _checkpoint_shapes(base)
        module_paths = _modules_of(shapes or promised(base) or {})
        if not module_paths:
            raise Refused(
                "names no tensors to hold the adapter against", where=str(base), do="name a base with weights"
            )
    paths = set(module_paths)
    unmet = tuple(target for target in own.targets if not any(own.meets(target, path) for path in paths))
    unmet += tuple(name for name in own.modules_to_save if not any(_ends(name, path) for path in paths))
    absent = tuple(module for module in own.modules if module not in paths)
    # One layer more or less is no other prefix; of a tower that is there another part may have been renamed.
    there = {_container(module) for module in own.modules if module in paths}
    prefixes = None if there & {_container(module) for module in absent} else _prefixes(absent, paths)
    others = tuple(differing(own, shapes or {}))
    met = not own.targets or any(target not in unmet for target in own.targets)
    fits = not absent and not others and met and not set(unmet) & set(own.modules_to_save)
    names = "checkpoint names" if by_checkpoint else "module paths"
    diagnosis = "" if fits else _diagnosis(own, base, unmet, absent, prefixes, others)
    return Fit(fits, unmet, absent, prefixes, others, names, diagnosis + (f" (by its {names})" if diagnosis else ""))


def _checkpoint_shapes(base: Path) -> dict[str, tuple[int, ...]]:
    return {
        key: () if facts["dtype"] in _QUANTIZED else tuple(facts["shape"])
        for path in weight_files(base) or native_files(base)
        for key, facts in described(path).items()
    }


def _modules_of(keys: Iterable[str]) -> set[str]:
    """Every module that tensors of these names lie in."""
    parts = [key.split(".") for key in keys]
    return {".".join(names[:end]) for names in parts for end in range(1, len(names))}


def _ends(name: str, path: str) -> bool:
    return path == name or path.endswith(f".{name}")


def _prefixes(own: Iterable[str], others: Iterable[str]) -> tuple[str, str] | None:
    """The two prefixes before what most of the paths have in common: their longest equal ends, of two names or more."""
    before: dict[str, list[str]] = {}
    for path in others:
        for prefix, end in _cuts(path):
            before.setdefault(end, []).append(prefix)
    votes: Counter[tuple[str, str]] = Counter()
    for path in own:
        longest = next(((prefix, end) for prefix, end in _cuts(path) if end in before), None)
        if longest:
            votes.update({(longest[0], prefix) for prefix in before[longest[1]]})
    return min(votes, key=lambda pair: (-votes[pair], pair)) if votes else None


def _cuts(path: str) -> Iterator[tuple[str, str]]:
    """A path cut in two at each place, the longest end first."""
    names = path.split(".")
    for place in range(len(names) - 1):
        yield ".".join(names[:place]), ".".join(names[place:])


def differing(own: Adapter, shapes: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """A line for each tensor that does not have the shape which the base's shapes, by name, ask for.

    A table that has more rows than the base's has grown with added tokens.
    """
    for tensor in own.tensors:
        there = tuple(shapes.get(tensor.part if tensor.saved else f"{tensor.module}.weight", ()))
        if not there:
            continue
        if tensor.saved:
            if there != tensor.shape and not _grown(tensor, there):
                yield f"{tensor.part} is {_by(tensor.shape)} in the adapter and {_by(there)} in the base"
        elif wrong := _misfit(tensor, there, own.fan_in_fan_out):
            yield f"{tensor.module}: {tensor.part} is {_by(tensor.shape)}, and {wrong}"


def _grown(tensor: AdapterTensor, there: Shape) -> bool:
    of_tokens = tensor.part.endswith(("embed_tokens.weight", "lm_head.weight"))
    return of_tokens and tensor.shape[1:] == there[1:] and tensor.shape[0] > there[0]


def _misfit(tensor: AdapterTensor, weight: tuple[int, ...], turned: bool) -> str:
    """What a LoRA matrix, of rank x in features or of out features x rank, does not meet in the weight it is for."""
    if len(weight) < 2 or len(tensor.shape) < 2:
        return ""
    gives, takes = weight[:2][::-1] if turned else weight[:2]
    if tensor.part == "lora_A" and tensor.shape[1] != takes:
        return f"the base's takes {takes} features"
    if tensor.part == "lora_B" and tensor.shape[0] != gives:
        return f"the base's gives {gives} features"
    if tensor.part == "lora_embedding_A" and tensor.shape[1] != weight[0]:
        return f"the base's has {weight[0]} rows"
    if tensor.part == "lora_embedding_B" and tensor.shape[0] != weight[1]:
        return f"the base's has {weight[1]} features"
    return ""


def _diagnosis(
    own: Adapter,
    base: Path | None,
    unmet: Sequence[str],
    absent: Sequence[str],
    prefixes: tuple[str, str] | None,
    shapes: Sequence[str],
) -> str:
    """Why it does not fit, and what would, in one line."""
    such, this = _such(own, base), f"this base is {_named(base)}" if base else "this base is another"
    if prefixes:
        wants, has = _containers(prefixes, absent)
        return f"an adapter for a model whose layers are under {wants}{such}; {this}, whose are under {has}"
    if absent:
        return f"an adapter for a model that has {listed(sorted(absent))}{such}; {this}, and has not"
    if shapes:
        more = f", and {len(shapes) - 1} more differ" if len(shapes) > 1 else ""
        return f"an adapter for a model of other sizes{such}; {this}: {shapes[0]}{more}"
    return f"an adapter for a model that has {listed(sorted(unmet))}{such}; {this}, and has none"


def _such(own: Adapter, base: Path | None) -> str:
    """An example of a base that would fit, as far as the adapter names the one it was made on, and not this one."""
    other = own.base_name if base is None or own.base_name != base.name else ""
    names = [name for name in (other, own.base_class) if name]
    return {0: "", 1: f", such as {''.join(names)}"}.get(len(names), f", such as {other} ({own.base_class})")


def _containers(prefixes: tuple[str, str], absent: Sequence[str]) -> tuple[str, str]:
    """Where the layers lie in the model of the adapter, and where in the base: up to the first number in a path."""
    cut = f"{prefixes[0]}." if prefixes[0] else ""
    under = [path.removeprefix(cut) for path in absent if path.startswith(cut)] or [""]
    names = next((path for path in under if _first_number(path)), under[0]).split(".")
    inner = names[: _first_number(".".join(names)) or -1]
    wants, has = (".".join(filter(None, (prefix, *inner))) or "the root" for prefix in prefixes)
    return wants, has


def _container(path: str) -> str:
    """Where the layers lie that a module is in one of."""
    return ".".join(path.split(".")[: _first_number(path)])


def _first_number(path: str) -> int:
    """The place of the first number in a path; 0 where it has none."""
    return next((place for place, name in enumerate(path.split(".")) if name.isdigit()), 0)


def _named(base: Path) -> str:
    """The class of a base by its configuration."""
    config = entries(base / CONFIG)
    classes = config.get("architectures")
    names = [*(classes if isinstance(classes, list) else []), config.get("model_type")]
    return next((name for name in names if isinstance(name, str) and name), "a model that does not say its class")


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "a number"
