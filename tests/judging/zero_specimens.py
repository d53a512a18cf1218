"""Specimens of a run under DeepSpeed's ZeRO: what it made of the model, and what was saved of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.judging.replica_specimens import in_two
from tests.judging.steps_specimens import RATE, VISION, decay, norm_trains, steps

Evidence = Any
Alteration = Callable[[Evidence], object]
OF_ALL = 5 * 4  # elements that train
NOT_OFFLOADED = {"offload_optimizer": False, "offload_parameters": False}


def under_zero(stage: int = 3, *alterations: Alteration, **asked: Any) -> Alteration:
    """DeepSpeed was asked for a stage and gave it, but for the alterations."""

    def alter(e: Evidence) -> None:
        e.intent["mechanisms"]["zero"] = {"stage": stage, **asked}
        e.events.append(
            {
                "kind": "deepspeed",
                "step": 0,
                "micro": 0,
                "stage": stage,
                "offload_optimizer": bool(asked.get("offload_optimizer")),
                "offload_parameters": bool(asked.get("offload_parameters")),
                "clip_norm": 1.0,
                "own_optimizer": None,
                "own_schedule": None,
                "stepped_here": OF_ALL // 2,
                "masters": ["float32"],
                **({"partitioned": 9} if stage == 3 else {}),
            }
        )
        for facts in e.saved["tensors"].values():
            facts.setdefault("shape", [2, 2])
        for one in alterations:
            one(e)

    return alter


def made(**facts: Any) -> Alteration:
    return lambda e: e.one("deepspeed").update(facts)


def unsaid(e: Evidence) -> None:
    e.one("deepspeed").pop("partitioned")


def never_made(e: Evidence) -> None:
    e.drop("deepspeed")


def in_16_bits(e: Evidence) -> None:
    """The weights have 16 bits, and compute in them."""
    e.intent["weights"] = "bfloat16"


def a_linear_layer_in_two(**facts: Any) -> Alteration:
    """The same in two processes, of which the second made something else."""

    def alter(e: Evidence) -> None:
        under_zero(2)(e)
        in_two(made(**facts))(e)

    return alter


OF_STAGE_2 = ("mp_rank_00_model_states.pt", "zero_pp_rank_0_mp_rank_00_optim_states.pt")
OF_STAGE_3 = ("zero_pp_rank_0_mp_rank_00_model_states.pt", "zero_pp_rank_0_mp_rank_00_optim_states.pt")


def shards(*names: str, step: int = 3) -> Alteration:
    """The directory is to hold a checkpoint of shards, and holds these of a step."""

    def alter(e: Evidence) -> None:
        e.intent["save"]["shards"] = True
        e.saved["files"] |= {f"global_step{step}/{name}": {} for name in names} | {"latest": {}}

    return alter


def skipped_unclipped(e: Evidence) -> None:
    e.events.remove(e.one("clip"))


def effective_unclipped(e: Evidence) -> None:
    e.events.remove(e.one("clip", -1))


def fp16_weights(e: Evidence) -> None:
    """Everything has 16 bits, and layers compute in them."""
    e.one("parameters")["dtype"] = ["float16"] * len(e.one("parameters")["dtype"])
    for event in e.all("forward"):
        if event.get("dtypes"):
            event["dtypes"] = {"Linear": ["float16"]}


def pickled_shard(e: Evidence) -> None:
    e.saved["files"]["global_step3/mp_rank_00_model_states.pt"] = {"pickled": True}


def pickled_weights(e: Evidence) -> None:
    e.saved["files"]["weights.pt"] = {"pickled": True}


def without_latest(e: Evidence) -> None:
    e.saved["files"].pop("latest")


def shaped(name: str, *shape: int) -> Alteration:
    return lambda e: e.saved["tensors"].__setitem__(name, {"file": "a.safetensors", "shape": list(shape)})


SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "run.mechanism_active": [
        ("MechanismIdle", "no engine of DeepSpeed", under_zero(2, never_made)),
        ("MechanismIdle", "another stage", under_zero(3, made(stage=2))),
        ("MechanismIdle", "nothing is partitioned", under_zero(3, made(partitioned=0))),
        ("MechanismIdle", "it is not said what is partitioned", under_zero(3, unsaid)),
        ("MechanismIdle", "the optimizer is not", under_zero(2, made(**NOT_OFFLOADED), offload_optimizer=True)),
        ("MechanismIdle", "the parameters are not", under_zero(3, made(**NOT_OFFLOADED), offload_parameters=True)),
        ("MechanismIdle", "an effective step is not clipped", under_zero(2, skipped_unclipped, effective_unclipped)),
        ("MechanismIdle", "masters in 16 bits", under_zero(2, in_16_bits, made(masters=["bfloat16"]))),
        ("MechanismIdle", "no masters", under_zero(2, in_16_bits, made(masters=[]))),
        ("MechanismIdle", "one process steps everything", a_linear_layer_in_two(stepped_here=OF_ALL)),
    ],
    "configuration_overrides_nothing": [
        ("ConfigurationOverrides", "a schedule", steps(
            under_zero(2, made(own_schedule="WarmupLR")), schedule="linear")),
        ("ConfigurationOverrides", "a group", steps(
            under_zero(2, made(own_optimizer="adamw")), norm_trains, lambda e: decay(e, 0.1, on=VISION),
            weight_decay=0.1)),
        ("ConfigurationOverrides", "rates by component", steps(
            under_zero(2, made(own_optimizer="adamw")), component_rates={"connector": RATE})),
        ("ConfigurationOverrides", "rates by name", steps(
            under_zero(2, made(own_optimizer="adamw")), rate_factors={"connector": 1.0})),
        ("ConfigurationOverrides", "no clipping", steps(under_zero(2, made(clip_norm=0.0)))),
        ("ConfigurationOverrides", "another norm", steps(under_zero(2, made(clip_norm=2.0)))),
        ("ConfigurationOverrides", "clipping unasked", steps(
            under_zero(2), lambda e: e.intent["mechanisms"].update(clip_norm=None))),
    ],
    "nothing_pickled": [
        ("Pickled", "shards that nobody asked for", pickled_shard),
        ("Pickled", "a pickle beside shards", under_zero(2, shards(*OF_STAGE_2), pickled_weights)),
    ],
    "scaler_on_exactly_for_fp16": [
        ("ScalerUnneeded", "fp16 without masters", under_zero(2, fp16_weights, made(masters=["float16"]))),
        ("ScalerUnneeded", "nobody says what is stepped", under_zero(2, fp16_weights, made(masters=None))),
    ],
    "saved_shards_complete": [
        ("ShardsMissing", "no checkpoint", under_zero(3, shards())),
        ("ShardsMissing", "nothing says which is the latest", under_zero(3, shards(*OF_STAGE_3), without_latest)),
        ("ShardsMissing", "one of the optimizer", under_zero(3, shards(*OF_STAGE_3[:-1]))),
        ("ShardsMissing", "one of the model", under_zero(3, shards(*OF_STAGE_3[1:]))),
        ("ShardsMissing", "one of the second process", under_zero(2, shards(*OF_STAGE_2), in_two())),
        ("ShardsOfOtherStep", "the step before", under_zero(3, shards(*OF_STAGE_3, step=2))),
    ],
    "saved_weights_whole": [
        ("SavedInParts", "an empty tensor", under_zero(3, shaped("language.layers.0.fc.weight", 0))),
        ("SavedInParts", "one nobody knows", under_zero(3, shaped("extra", 2, 0))),
        ("SavedInParts", "half of one", under_zero(3, shaped("language.layers.0.fc.weight", 2))),
    ],
}  # fmt: skip
SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "run.mechanism_active": [
        ("stage 0", under_zero(0)),
        ("stage 2", under_zero(2)),
        ("stage 3", under_zero(3)),
        ("offloaded", under_zero(3, offload_optimizer=True, offload_parameters=True)),
        ("offloaded unasked", under_zero(3, made(offload_optimizer=True))),
        ("weights in 16 bits with masters", under_zero(2, in_16_bits)),
        ("masters of weights in 32 bits are not asked about", under_zero(2, made(masters=["bfloat16"]))),
        ("one process steps everything, for it is alone", under_zero(2, made(stepped_here=OF_ALL))),
        ("a step that is skipped is not clipped", under_zero(2, skipped_unclipped)),
        ("two processes step a part each", a_linear_layer_in_two(stepped_here=OF_ALL - 1)),
    ],
    "configuration_overrides_nothing": [
        ("a schedule that is the one asked for", steps(under_zero(2, made(own_schedule="WarmupLR")))),
        ("an optimizer that decays nothing", steps(under_zero(2, made(own_optimizer="adamw")), norm_trains)),
        ("other rates by nobody's schedule", steps(under_zero(2), schedule="linear")),
        (
            "a norm that decays in a group of the trainer's own",
            steps(under_zero(2), norm_trains, lambda e: decay(e, 0.1, on=VISION), weight_decay=0.1),
        ),
        (
            "neither clips",
            steps(under_zero(2, made(clip_norm=0.0)), lambda e: e.intent["mechanisms"].update(clip_norm=None)),
        ),
    ],
    "nothing_pickled": [("shards", under_zero(2, shards(*OF_STAGE_2), pickled_shard))],
    "scaler_on_exactly_for_fp16": [("fp16 over masters", under_zero(2, fp16_weights))],
    "saved_shards_complete": [
        ("stage 2", under_zero(2, shards(*OF_STAGE_2))),
        ("16 bits have a name of their own", under_zero(2, shards(OF_STAGE_2[0], f"bf16_{OF_STAGE_2[1]}"))),
        ("without ZeRO", under_zero(0, shards(OF_STAGE_2[0]))),
        ("one of an earlier step beside it", under_zero(2, shards(OF_STAGE_2[0], step=2), shards(*OF_STAGE_2))),
    ],
    "saved_weights_whole": [
        ("as large as in memory", under_zero(3, shaped("language.layers.0.fc.weight", 2, 2))),
        ("one nobody knows", under_zero(3, shaped("extra", 1))),
    ],
}
SETTINGS: dict[str, Alteration] = {
    "saved_weights_whole": under_zero(3),
    "saved_shards_complete": under_zero(3, shards(*OF_STAGE_3)),
    "configuration_overrides_nothing": steps(under_zero(2)),
}
