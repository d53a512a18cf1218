"""What a run shows of what an intent file leaves out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, get_args

from harness.intent import AdapterIntent, Dtype
from harness.trace.naming import unwrapped

if TYPE_CHECKING:
    from harness.trace.parameter import Parameter
    from harness.trace.reader import Trace

OWN_LORA = "minimind-lora"


def commonest(values: list[Any]) -> Any:
    """The value that is there most often, the first of those where several are; None where there is none."""
    counted = Counter(values).most_common(1)
    return counted[0][0] if counted else None


def weights_of(trace: Trace) -> Dtype:
    """The dtype of what trains, of most of its elements."""
    sizes: Counter[str] = Counter()
    for parameter in trace.parameters:
        if parameter.requires_grad or not any(p.requires_grad for p in trace.parameters):
            sizes[parameter.dtype] += parameter.size
    most = next((dtype for dtype, _ in sizes.most_common(1)), "float32")
    return next((dtype for dtype in get_args(Dtype) if dtype == most), "float32")


def backwards(trace: Trace) -> list[int]:
    """How many backward passes each optimizer step had, in order."""
    counted = Counter(event["step"] for event in trace.of("backward"))
    return [counted[step["step"]] for step in trace.steps]


def accumulation_of(trace: Trace) -> int:
    """How many backward passes most steps had."""
    return int(commonest(backwards(trace)) or 1)


def epoch_of(trace: Trace, accumulation: int) -> int | None:
    """After how many micro-batches the data end, where steps that have fewer come so regularly that this is why."""
    counts = backwards(trace)
    at = next((step for step, number in enumerate(counts) if number < accumulation), 0)
    if not at:
        return None
    epoch = at * accumulation + counts[at]
    again = [min(accumulation, epoch - step % (at + 1) * accumulation) for step in range(len(counts))]
    return epoch if again == counts else None


def has_images(trace: Trace) -> bool:
    """Whether any forward was given pictures."""
    return any(event.get("pixels") for event in trace.of("forward"))


def adapted(trace: Trace) -> dict[str, Any]:
    """What is known of each adapter, by the path of its layer."""
    return dict((trace.model or {}).get("adapters") or {})


def number(trace: Trace, name: str) -> float | None:
    """A number of most adapters: r, lora_alpha, dropout."""
    found = [next(iter(facts[name].values()), None) for facts in adapted(trace).values() if facts.get(name)]
    value = commonest([one for one in found if one is not None])
    return None if value is None else float(value)


def method_of(trace: Trace) -> str | None:
    """The method of the adapters, by the package of their class."""
    kinds = [trace.modules.get(path, "").split(".") for path in adapted(trace)]
    if any(p.role == "adapter" for p in trace.parameters) and not kinds:
        kinds = [kind.split(".") for kind in trace.modules.values() if ".tuners." in kind]
    methods: list[str] = [parts[parts.index("tuners") + 1] if "tuners" in parts else OWN_LORA for parts in kinds]
    return str(commonest(methods)) if methods else None


def adapter_of(trace: Trace) -> AdapterIntent | None:
    """The adapters as they are, each by its whole path: that there are those and no others."""
    method = method_of(trace)
    if method is None:
        return None
    paths = adapted_paths(trace)
    rank = number(trace, "r") if method == "lora" else None
    return AdapterIntent(
        method=method,
        components=tuple(dict.fromkeys(_component(trace, path) for path in paths)) or ("language",),
        targets=paths or "all-linear",
        rank=int(rank) if rank else None,
        dropout=number(trace, "dropout") or 0.0,
    )


def adapted_paths(trace: Trace) -> tuple[str, ...]:
    """The layers that carry adapters, by their paths without wrappers."""
    return tuple(sorted({unwrapped(path) for path in adapted(trace)}))


def _component(trace: Trace, path: str) -> Any:
    return trace.naming.component(trace.naming.canonical(path) + ".")


def trains(parameter: Parameter) -> bool:
    """Whether the run itself has it train, as a parameter of the model's own."""
    return parameter.requires_grad and parameter.role in ("base", "copy")


def by_path(trace: Trace, name: str) -> dict[str, float]:
    """A number of each adapter, by the path of its layer without wrappers."""
    found = {path: next(iter((facts.get(name) or {}).values()), None) for path, facts in adapted(trace).items()}
    return {unwrapped(path): float(value) for path, value in found.items() if value is not None}
