"""From an intent file and a trace to an intent: patterns become keys, and what is left out is taken from the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.families.promises import AUTOCAST, WEIGHTS
from harness.intent import AdapterIntent, Intent, Mechanisms, Optimization, SaveIntent, Written
from harness.intents import seen
from harness.intents.file import Adapters, IntentFile, Saved
from harness.intents.named import Named
from harness.intents.naming import facts_of, naming_of, recognised

if TYPE_CHECKING:
    from harness.recipe.components import Component
    from harness.trace.reader import Trace


def applied(promise: IntentFile | Intent, trace: Trace) -> Intent:
    """What a trace is judged by. An intent that is written out in full is that already."""
    if isinstance(promise, Intent):
        return promise
    naming = naming_of(promise, trace)
    trace = trace.named_by(naming)
    named = Named(trace)
    facts = _facts(promise, trace)
    trains = _trained(promise, named)
    return facts.model_copy(
        update={
            "renames": naming.renames,
            "components": naming.components,
            "trains": named.expressions(promise.trainable or (), trains),
            "out_of_reach": (*facts.out_of_reach, *_expressions(named, promise.unreached)),
            "adapter": _adapter(promise, trace, named),
            "weights": WEIGHTS[promise.precision] if promise.precision else seen.weights_of(trace),
            "steps": promise.steps,
            "mechanisms": _mechanisms(promise, trace),
            "optimization": _optimization(promise),
            "save": _save(promise.save, facts.save, named),
            "has_images": seen.has_images(trace) if promise.images is None else promise.images,
            "processes": promise.processes or len(trace.ranks),
            "probed": any(trace.probes()),
            "probes": tuple(event["name"] for event in trace.probes()),
            "samples_known": bool(trace.of("data")),
            "base": bool(trace.header.get("base")),
            "agrees_with": promise.agrees_with,
            "costs": promise.budget,
            "written": written(promise),
        }
    )


def written(promise: IntentFile) -> tuple[Written, ...]:
    """The file's patterns, as they are written there."""
    save = promise.save or Saved()
    lists = {
        "trainable": promise.trainable or (),
        "frozen": promise.frozen or (),
        "unreached": promise.unreached,
        "left_out": save.left_out,
        "holds": save.holds,
    }
    return tuple(
        Written.model_validate({"named": name, "pattern": one}) for name, patterns in lists.items() for one in patterns
    )


def _facts(promise: IntentFile, trace: Trace) -> Intent:
    """What the model's family publishes about it, where one is known; of a run, nothing."""
    name = promise.family or (None if promise.components else recognised(trace))
    facts = facts_of(name, trace) if name else None
    if facts is None:
        return Intent()
    there = {p.key for p in trace.parameters}
    there |= {trace.naming.canonical(path) for path in _tied(trace)}
    return Intent(
        out_of_reach=facts.out_of_reach,
        fixed=facts.fixed,
        ties=tuple(group for group in facts.ties if there >= set(group)),
        padding=facts.padding,
        single_tokens=facts.single_tokens,
        save=SaveIntent(model_class=facts.save.model_class),
        mechanisms=Mechanisms(auxiliary_loss=facts.mechanisms.auxiliary_loss),
    )


def _tied(trace: Trace) -> list[str]:
    ties: dict[str, list[str]] = trace.described.get("ties", {})
    return [path for group in ties.values() for path in group]


def _trained(promise: IntentFile, named: Named) -> set[int]:
    """The model's own parameters that are to train, by index."""
    whole = {p.index for p in named.parameters}
    if promise.trainable is not None:
        trained = named.by_all(promise.trainable) & whole
    elif promise.frozen is not None:
        trained = whole - named.by_all(promise.frozen)
    else:
        trained = {p.index for p in named.parameters if seen.trains(p)}
    kept = promise.adapter.modules_to_save if promise.adapter else ()
    return trained | (named.by_all(kept) & whole)


def _expressions(named: Named, patterns: tuple[str, ...]) -> tuple[str, ...]:
    return named.expressions(patterns, named.by_all(patterns)) if patterns else ()


def _adapter(promise: IntentFile, trace: Trace, named: Named) -> AdapterIntent | None:
    if promise.adapters is None and promise.trainable is None:
        return seen.adapter_of(trace)
    asked = promise.adapter
    if asked is None:
        return None
    rank = asked.rank or seen.number(trace, "r")
    dropout = seen.number(trace, "dropout") if asked.dropout is None else asked.dropout
    intent = AdapterIntent(
        method=asked.method,
        targets=seen.adapted_paths(trace) if asked.targets is None else asked.targets,
        exclude=asked.exclude,
        rank=int(rank) if rank and asked.method in ("lora", seen.OWN_LORA) else None,
        alpha=asked.alpha,
        dropout=dropout or 0.0,
        bias=asked.bias,
        rslora=asked.rslora,
        rank_pattern=asked.rank_pattern,
        alpha_pattern=asked.alpha_pattern,
        layers_to_transform=asked.layers_to_transform,
        in_place=not asked.modules_to_save and not any(p.role == "copy" for p in trace.parameters),
    )
    return intent.model_copy(update={"components": asked.components or _where(promise, asked, intent, trace, named)})


def _where(
    promise: IntentFile, asked: Adapters, intent: AdapterIntent, trace: Trace, named: Named
) -> tuple[Component, ...]:
    """The components that a target names a module of; not those that are frozen by name."""
    from harness.checks.adapter_targets import Tree, targeted

    met = {trace.naming.component(trace.naming.canonical(path) + ".") for path in targeted(intent, Tree.of(trace))}
    frozen = named.by_all(promise.frozen or ())
    whole = {p.component for p in named.parameters} - {p.component for p in named.parameters if p.index not in frozen}
    found = [component for component in dict.fromkeys(p.component for p in named.parameters) if component in met]
    kept: Any = tuple(component for component in found if component not in whole)
    return kept or ("language",)


def _mechanisms(promise: IntentFile, trace: Trace) -> Mechanisms:
    accumulation = promise.accumulation or seen.accumulation_of(trace)
    precision = promise.precision
    attention = (trace.model or {}).get("attention") or {}
    components = {trace.naming.component(trace.naming.canonical(path) + ".") for path in attention}
    return Mechanisms.model_validate(
        {
            "autocast": AUTOCAST.get(precision) if precision else None,
            "compute": AUTOCAST.get(precision, WEIGHTS[precision]) if precision else None,
            "attention": dict.fromkeys(sorted(components), promise.attention) if promise.attention else {},
            "tf32": promise.tf32,
            "loss_scaler": promise.loss_scaler,
            "scaler_rule": promise.scaler_rule,
            "accumulation": accumulation,
            "accumulation_as_seen": promise.accumulation is None,
            "epoch": seen.epoch_of(trace, accumulation) if promise.accumulation else None,
            "checkpointing": promise.checkpointing or False,
            "clip_norm": promise.clip_norm,
            "zero": promise.zero,
            "loss_average": promise.loss_average,
        }
    )


def _optimization(promise: IntentFile) -> Optimization | None:
    return Optimization.model_validate(promise.optimizer.model_dump()) if promise.optimizer else None


def _save(asked: Saved | None, facts: SaveIntent, named: Named) -> SaveIntent:
    if asked is None:
        return SaveIntent(what="nothing")
    return SaveIntent(
        what=asked.what,
        model_class=asked.model or facts.model_class,
        processor_class=asked.processor,
        tokenizer=bool(asked.processor) if asked.tokenizer is None else asked.tokenizer,
        beside_adapter=asked.beside_adapter,
        native_file=asked.native_file,
        half=asked.half,
        pickled=asked.pickled,
        resume=asked.resume,
        shards=asked.shards,
        files=asked.files,
        left_out=_expressions(named, asked.left_out),
        holds=_expressions(named, asked.holds),
    )
