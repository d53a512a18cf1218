"""A draft of an intent file: what a good run did, in a few lines, for keeping beside the script."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from harness.checks.adapter_targets import Tree, met_by
from harness.checks.completion import run_completed
from harness.checks.decay import weight_decay_as_declared
from harness.checks.rates import off_schedule
from harness.intent import Intent, Optimization
from harness.intents import seen
from harness.intents.applying import applied
from harness.intents.compacting import patterns_for
from harness.intents.file import IntentFile
from harness.intents.naming import facts_of, naming_of, recognised
from harness.recipe.components import COMPONENTS, UNIONS
from harness.refusal import Refused
from harness.trace.naming import unwrapped

if TYPE_CHECKING:
    from harness.trace.parameter import Parameter
    from harness.trace.reader import Trace

PRECISIONS = {
    ("float32", "float32"): "fp32",
    ("float32", "bfloat16"): "bf16",
    ("float32", "float16"): "fp16",
    ("bfloat16", "bfloat16"): "pure-bf16",
    ("float16", "float16"): "pure-fp16",
}
SCHEDULES = ("constant", "linear", "cosine")
FALLING = 2  # steps from which one schedule can be told from another


def draft(trace: Trace) -> IntentFile:
    """What a run did, as an intent. Raises Refused for a run that did not train, or did not come to its end."""
    if not trace.parameters or not trace.steps:
        raise Refused("nothing was trained in it", where=str(trace.directory), do="draft from a run that does")
    for finding in run_completed(Intent(), trace):
        raise Refused(
            f"the run did not end well: {finding.seen}", where=str(trace.directory), do="draft from a good one"
        )
    name = recognised(trace)
    trace = trace.named_by(naming_of(IntentFile(family=name), trace))
    own = [p for p in trace.parameters if p.role in ("base", "copy")]
    said: dict[str, Any] = {
        "family": name,
        "trainable": named([p for p in own if p.requires_grad], own),
        "frozen": _whole([p for p in own if not p.requires_grad], own),
        "unreached": _unreached(trace, own, name),
        "adapters": _adapters(trace) or ("none" if not any(p.role == "adapter" for p in trace.parameters) else None),
        "precision": _precision(trace),
        **_steps(trace),
        "optimizer": _optimizer(trace),
        "save": _save(trace),
        "processes": len(trace.ranks) if trace.others else None,
    }
    return IntentFile.model_validate(
        {key: value for key, value in said.items() if value not in (None, ())} | _nothing(said)
    )


def _nothing(said: dict[str, Any]) -> dict[str, Any]:
    """That nothing of the model's own trains is said, too."""
    return {"trainable": ()} if not said["trainable"] else {}


def named(wanted: list[Parameter], own: list[Parameter]) -> tuple[str, ...]:
    """Names for some parameters: whole components, and patterns for what is part of one."""
    whole = _whole(wanted, own)
    components = {one for name in whole for one in UNIONS.get(name, (name,))}
    rest = {p.key for p in wanted if p.component not in components}
    return (*whole, *patterns_for(rest, {p.key for p in own}))


def _whole(wanted: list[Parameter], own: list[Parameter]) -> tuple[str, ...]:
    """The components of which all is wanted, under the name of their union where that is so too."""
    others = {p.component for p in own} - {p.component for p in wanted}
    indices = {p.index for p in wanted}
    others |= {p.component for p in own if p.index not in indices}
    there = {p.component for p in own}
    whole: list[str] = [name for name in COMPONENTS if name in there - others]
    for union, members in UNIONS.items():
        present = [name for name in members if name in there]
        if len(present) > 1 and set(present) <= set(whole):
            whole = [union, *(name for name in whole if name not in members)]
    return tuple(whole)


def _unreached(trace: Trace, own: list[Parameter], name: str | None) -> tuple[str, ...]:
    """What trains by declaration and had no gradient at any step; but for what the family is known not to reach."""
    facts = facts_of(name, trace) if name else None
    events = trace.gradients("optimizer")
    reached = {p.index for p in own for event in events if event["norm"][p.index] not in (None, 0)}
    left = [p for p in own if p.requires_grad and p.index not in reached and not p.moved]
    left = [p for p in left if facts is None or facts.reaches(p.key)]
    return patterns_for({p.key for p in left}, {p.key for p in own})


def _precision(trace: Trace) -> str | None:
    computed: list[str] = next((e["dtypes"].get("Linear", []) for e in trace.of("forward") if e.get("dtypes")), [])
    return PRECISIONS.get((seen.weights_of(trace), computed[0])) if len(computed) == 1 else None


def _steps(trace: Trace) -> dict[str, Any]:
    """How steps were made: micro-batches, clipping, recomputation, a scaler."""
    counts = set(seen.backwards(trace))
    norms = {event["step"]: event["max_norm"] for event in trace.of("clip")}
    clipped = set(norms.values()) if all(step["step"] in norms for step in trace.effective_steps) else set()
    return {
        "accumulation": counts.pop() if len(counts) == 1 else None,
        "clip_norm": limit if len(clipped) == 1 and math.isfinite(limit := clipped.pop()) else None,
        "checkpointing": any(event.get("recomputed") for event in trace.of("backward")) or None,
        "loss_scaler": any(event["enabled"] for event in trace.of("scaler")) or None,
    }


def _optimizer(trace: Trace) -> dict[str, Any] | None:
    """Rates and their schedule where they follow one that can be said; decay where biases and norms are spared."""
    first = trace.steps[0]
    places = {
        p.index: float(first["lr"][group])
        for p in trace.parameters
        for optimizer, group in _places(trace).get(p.index, ())
        if optimizer == first["optimizer"] and group < len(first["lr"])
    }
    rate = seen.commonest(list(places.values()))
    if not rate:
        return None
    components = {p.component: places[p.index] for p in trace.parameters if p.index in places}
    other = {name: one for name, one in components.items() if one != rate and one > 0}
    for schedule in SCHEDULES if len(trace.effective_steps) >= FALLING else SCHEDULES[:1]:
        asked = Optimization.model_validate({"learning_rate": rate, "component_rates": other, "schedule": schedule})
        if not any(off_schedule(asked, len(trace.steps), trace)):
            said = {
                "learning_rate": rate,
                "component_rates": other,
                "schedule": schedule,
                "weight_decay": _decay(trace),
            }
            return {key: value for key, value in said.items() if value not in (None, {})}
    return None


def _places(trace: Trace) -> dict[int, list[tuple[str, int]]]:
    from harness.checks.optimizer_groups import places_of

    return places_of(trace)


def _decay(trace: Trace) -> float | None:
    from harness.checks.decay import decays

    decay = seen.commonest([value for parameter, value in decays(trace) if len(parameter.shape) > 1])
    if decay is None:
        return None
    asked = Intent(optimization=Optimization(learning_rate=1.0, weight_decay=decay))
    return None if any(weight_decay_as_declared(asked, trace)) else float(decay)


def _adapters(trace: Trace) -> dict[str, Any] | None:
    whole = seen.adapter_of(trace)
    if whole is None or not seen.adapted(trace):
        return {"method": whole.method} if whole else None
    said: dict[str, Any] = {"method": whole.method, "components": whole.components, "targets": _targets(trace)}
    if whole.rank:
        alpha, scaling = seen.number(trace, "lora_alpha"), seen.number(trace, "scaling")
        ranks = seen.by_path(trace, "r")
        root = alpha is not None and scaling is not None and math.isclose(scaling, alpha / math.sqrt(whole.rank))
        said |= {
            "rank": whole.rank,
            "alpha": alpha,
            "dropout": whole.dropout,
            "rslora": (root and whole.rank > 1) or None,
            "rank_pattern": {re.escape(path): int(rank) for path, rank in ranks.items() if rank != whole.rank},
        }
    kept = {p.path.partition(".modules_to_save.")[0] for p in trace.parameters if p.role == "copy"}
    said["modules_to_save"] = sorted({unwrapped(path).rpartition(".")[2] for path in kept})
    return {key: value for key, value in said.items() if value not in (None, {}, [], ())}


def _targets(trace: Trace) -> Any:
    """The last names of the adapted layers where no other layer of those components has one, else each by its path."""
    tree = Tree.of(trace)
    names = tuple(sorted({path.rpartition(".")[2] for path in tree.adapted}))
    component = {path: trace.naming.component(trace.naming.canonical(path) + ".") for path in tree.modules}
    there = {component[path] for path in tree.adapted if path in component}
    if {path for path in met_by(names, tree) if component[path] in there} == tree.adapted:
        return list(names)
    return rf"(?:{'|'.join(_as_expression(one) for one in patterns_for(tree.adapted, tree.modules))})"


def _as_expression(pattern: str) -> str:
    """A pattern that begins at the root as an expression for a whole path."""
    from harness.patterns import expression

    return expression(pattern).pattern.removeprefix(r"(?:^|\.)").removesuffix(r"(?:\.|$)")


def _save(trace: Trace) -> dict[str, Any] | None:
    """What lies in the saved directory, of the two kinds that any library knows, and what comes back of it."""
    if trace.inventory is None or trace.reloaded is None:
        return None
    files, reloaded = trace.inventory["files"], trace.reloaded
    what = next((w for w, file in (("adapter", "adapter_config.json"), ("full", "config.json")) if file in files), None)
    if what is None or "model_error" in reloaded:
        return None
    processor = reloaded.get("processor_class")
    said = {
        "what": what,
        "model": reloaded.get("model_class") if what == "full" else None,
        "processor": processor if processor and "Tokenizer" not in processor else None,
        "tokenizer": "tokenizer_config.json" in files or None,
    }
    return {key: value for key, value in said.items() if value is not None}


def findings_of(trace: Trace, file: IntentFile) -> list[str]:
    """What a run is still found to do wrong when it is judged by its own draft: check, and what was seen."""
    from harness.checks import CHECKS
    from harness.checks.judging import judge

    intent = applied(file, trace)
    results = [judge(one, "draft", intent, trace) for one in CHECKS if not one.partners]
    return [f"{r.check}: {f.expected}; seen: {f.seen}" for r in results for f in r.findings]
