"""From a recipe and a family's published tables to an intent. Pure data: no model is looked at, nor peft asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from harness.families.adapter_numbers import numbers_of
from harness.families.pictures import refuse_unreached
from harness.intent import AdapterIntent, Intent, Mechanisms, Optimization, SaveIntent
from harness.places import NATIVE
from harness.recipe import Component, Recipe, Tune
from harness.recipe.choices import Attention
from harness.recipe.starting import base_and_parts, continued_adapter, merged_from, own_towers
from harness.refusal import Refused

WEIGHTS = {
    "fp32": "float32",
    "bf16": "float32",
    "fp16": "float32",
    "pure-bf16": "bfloat16",
    "pure-fp16": "float16",
}
AUTOCAST = {"bf16": "bfloat16", "fp16": "float16"}
TINY_SHARDS = 3


@dataclass(frozen=True)
class Tables:
    """What a family publishes about its keys.

    `layers` gives a component's layer keys as a regular expression with {layer} for the index, and `depth` how many
    there are; `out_of_reach` the keys that no gradient reaches even when they train, `fixed` those that never train,
    and `ties` those that share one tensor; `in_projector_file` are the components that a first stage's file of the
    connector holds. `padding` are the sides on which the model can be padded, `single_tokens` what its conversation
    template needs as one token each.
    `not_in_native` are keys that a native state dict leaves out, `native_ending` what follows its file's name.
    `image_components` are those that only pictures reach; `blank_for_text`: a text by itself is given a blank one.
    `attention` are the components whose attention is computed as from_pretrained is told; none where it cannot be told.
    `auxiliary_loss`: the trainer adds what keeps experts evenly loaded, which the model gives beside its loss.
    """

    components: tuple[tuple[str, str], ...]
    renames: tuple[tuple[str, str], ...]
    layers: dict[str, str]
    depth: dict[str, int]
    out_of_reach: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    ties: tuple[tuple[str, ...], ...] = ()
    image_components: tuple[Component, ...] = ("vision", "connector")
    blank_for_text: bool = True
    in_projector_file: tuple[Component, ...] = ("connector",)
    model_class: str | None = None
    processor_class: str | None = None
    padding: tuple[Literal["left", "right"], ...] = ("left", "right")
    single_tokens: tuple[str, ...] = ()
    attention: tuple[Component, ...] = ()
    auxiliary_loss: bool = False
    features_in_place: bool = True
    not_in_native: tuple[str, ...] = ()
    native_ending: str = ""


def intent_from(recipe: Recipe, tables: Tables) -> Intent:
    """The intent of a recipe under a family's tables."""
    refuse_unreached(recipe, tables.image_components, tables.blank_for_text)
    seen = recipe.samples_seen
    first, overflow = recipe.interrupted_after or 0, _overflow(recipe)
    has_images = any(kind != "text" for kind in recipe.data.mix[:seen])
    unreached = tables.out_of_reach + (() if has_images else _patterns_of(tables.image_components, tables))
    return Intent(
        renames=tables.renames,
        components=tables.components,
        trains=tuple(pattern for tune in recipe.tune for pattern in _trained(tune, tables)) + _kept_copies(recipe),
        out_of_reach=unreached,
        fixed=tables.fixed,
        resized=_patterns_of(("embeddings", "lm_head"), tables) if recipe.add_tokens else (),
        ties=_tied(recipe, tables),
        adapter=_adapter(recipe),
        merged=earlier.saves if (earlier := merged_from(recipe)) else None,
        merged_weights=WEIGHTS[earlier.precision] if earlier else "float32",
        weights=WEIGHTS[recipe.precision],
        steps=recipe.steps - first,
        first_step=first,
        effective_before=first - (overflow is not None and overflow < first),
        mechanisms=_mechanisms(recipe, tables),
        optimization=_optimization(recipe),
        save=_save(recipe, tables),
        has_images=has_images,
        features_in_place=tables.features_in_place,
        max_length=recipe.data.max_length,
        padding=_padding(recipe, tables),
        single_tokens=tables.single_tokens,
        probed=True,
        processes=recipe.processes,
        agrees_with=recipe.agrees_with,
        budget=recipe.budget,
        samples_known=True,
        base=True,
        own_towers=tuple(own_towers(recipe)),
        parts=tuple(part.kind for part in base_and_parts(recipe)[1]),
    )


def _padding(recipe: Recipe, tables: Tables) -> tuple[Literal["left", "right"], ...]:
    """Padding before a sample lies between it and the prompts of an adapter, and moves them apart."""
    if recipe.peft and recipe.peft.is_prompt:
        return tuple(side for side in tables.padding if side != "left")
    return tables.padding


def _trained(tune: Tune, tables: Tables) -> tuple[str, ...]:
    if tune.last and (depth := tables.depth.get(tune.component)):
        if tune.last > depth:
            raise Refused(f"tune: {tune.component} of this model has {depth} layers, not {tune.last}", do="lower last")
        indices = "|".join(str(index) for index in range(depth - tune.last, depth))
        return (tables.layers[tune.component].format(layer=f"(?:{indices})"),)
    if tune.named:
        whole = _patterns_of((tune.component,), tables)
        return tuple(f"(?=.*(?:{name})){pattern}" for name in tune.named for pattern in whole)
    return _patterns_of((tune.component,), tables)


def _patterns_of(components: tuple[Component, ...], tables: Tables) -> tuple[str, ...]:
    return tuple(pattern for pattern, component in tables.components if component in components)


def _tied(recipe: Recipe, tables: Tables) -> tuple[tuple[str, ...], ...]:
    """What shares one tensor: not what an earlier stage has trained a copy of, which merging has put in its place."""
    earlier, apart = merged_from(recipe), list[str]()
    while earlier:
        apart += _kept_copies(earlier)
        earlier = merged_from(earlier)
    return tuple(group for group in tables.ties if not any(re.match(one, key) for one in apart for key in group))


def _kept_copies(recipe: Recipe) -> tuple[str, ...]:
    """What an adapter's modules_to_save trains whole: every module whose path ends in the name."""
    names = recipe.peft.modules_to_save if recipe.peft else ()
    return tuple(rf"(?:.*\.)?{re.escape(name)}\." for name in names)


def _adapter(recipe: Recipe) -> AdapterIntent | None:
    adapter = recipe.peft
    if adapter is None:
        return None
    lora = adapter.method == "lora"
    return AdapterIntent(
        method=adapter.method,
        components=adapter.components,
        targets=adapter.targets,
        exclude=adapter.exclude,
        rank=adapter.rank if lora else None,
        alpha=adapter.alpha if lora else None,
        dropout=adapter.dropout,
        bias=adapter.bias,
        rslora=adapter.rslora,
        numbers=numbers_of(adapter),
        rank_budget=int(adapter.options.get("target_r", 8)) if adapter.method == "adalora" else None,
        init=adapter.init,
        rank_pattern=adapter.rank_pattern,
        alpha_pattern=adapter.alpha_pattern,
        layers_to_transform=adapter.layers_to_transform,
        layers_pattern=adapter.layers_pattern,
        continued=continued_adapter(recipe) is not None,
    )


def _mechanisms(recipe: Recipe, tables: Tables) -> Mechanisms:
    overflow = _overflow(recipe)
    to_come = overflow is not None and overflow >= (recipe.interrupted_after or 0)  # else the process before has had it
    return Mechanisms(
        autocast=AUTOCAST.get(recipe.precision),
        compute=AUTOCAST.get(recipe.precision, WEIGHTS[recipe.precision]),
        attention=_attention(recipe, tables),
        tf32=recipe.tf32,
        logging=recipe.logging,
        loss_scaler=recipe.scaler_enabled,
        scaler_rule=recipe.loss_scaler.rule,
        overflow=to_come,
        overflow_at=recipe.loss_scaler.overflow_at if to_come else None,
        accumulation=recipe.optimizer.accumulation,
        epoch=recipe.epoch,
        checkpointing=recipe.checkpointing,
        clip_norm=recipe.optimizer.clip_norm,
        zero=recipe.deepspeed.asked() if recipe.engine == "deepspeed" else None,
        auxiliary_loss=tables.auxiliary_loss,
        loss_average=recipe.optimizer.loss_average,
    )


def _overflow(recipe: Recipe) -> int | None:
    """The step that overflows on purpose, and is skipped, if there is one."""
    meant = recipe.scaler_enabled and recipe.size == "tiny" and recipe.loss_scaler.init_scale is None
    return (recipe.loss_scaler.overflow_at or 0) if meant else None


def _attention(recipe: Recipe, tables: Tables) -> dict[Component, Attention]:
    if not tables.attention and (recipe.attention or "eager-attention" in recipe.agrees_with):
        asked = "attention" if recipe.attention else "agrees_with eager-attention"
        raise Refused(
            f"{asked}: the code of {recipe.family} computes attention in its own way alone", do="leave it out"
        )
    return dict.fromkeys(tables.attention, recipe.attention) if recipe.attention else {}


def _optimization(recipe: Recipe) -> Optimization:
    asked = recipe.optimizer
    return Optimization(
        learning_rate=asked.learning_rate,
        component_rates=asked.component_rates,
        rate_factors=asked.rate_factors,
        floor=asked.floor,
        schedule=asked.schedule,
        warmup_steps=asked.warmup_steps,
        weight_decay=asked.weight_decay,
    )


def _save(recipe: Recipe, tables: Tables) -> SaveIntent:
    sharded = recipe.saves == "full" and recipe.save.by == "loop" and recipe.save.max_shard_size == "auto"
    return SaveIntent(
        what=recipe.saves,
        at_least_shards=TINY_SHARDS if sharded else 1,
        model_class=tables.model_class,
        processor_class=tables.processor_class if recipe.saves_processor else None,
        tokenizer=recipe.saves_processor or recipe.save.tokenizer,
        beside_adapter=recipe.save.beside_adapter,
        pickled=recipe.save.format == "bin",
        native_file=f"{recipe.save.name}{tables.native_ending}.pth" if recipe.save.name else NATIVE,
        half=recipe.save.half,
        resume=recipe.save.resume,
        files=recipe.save.files,
        shards=recipe.engine == "deepspeed" and not recipe.deepspeed.gather_on_save and recipe.saves != "nothing",
        left_out=tables.not_in_native if recipe.saves == "native" else (),
        holds=_patterns_of(tables.in_projector_file, tables) if recipe.saves == "projector" else (),
    )
