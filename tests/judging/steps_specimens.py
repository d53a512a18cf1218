"""Specimens of how steps are made: order, shares of the loss, clipping, rates, decay."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Evidence = Any
Alteration = Callable[[Evidence], object]
LAST = -1
RATE = 0.01
NORM = 0.5  # of the five gradients of the evidence together

CONNECTOR = "connector.modules_to_save.default.weight"
VISION = "vision.norm.weight"
A0 = "0.q_proj.lora_A.default.weight"


def declared(e: Evidence, **settings: Any) -> None:
    """The intent says how steps are made, and they are made so: the scale is eight, and four from the skip on."""
    e.intent["optimization"] = {"learning_rate": RATE, **settings}
    for event in e.all("scaler_update"):
        event.update(before=4.0, after=4.0)
    for event in e.all("backward"):
        event["value"] = 8.0 if event["step"] == 0 else 4.0
    norms(e, NORM, NORM)


def norms(e: Evidence, before: float, after: float) -> None:
    """Let all gradients together have a norm before clipping, and one at the optimizer, at every step."""
    for event in e.all("gradients"):
        whole = after if event["moment"] == "optimizer" else before
        each = whole / math.sqrt(sum(norm is not None for norm in event["norm"]))
        event["norm"] = [norm if norm is None else each for norm in event["norm"]]


def steps(*alterations: Alteration, **settings: Any) -> Alteration:
    """Of a run whose intent says how steps are made."""
    return lambda e: (declared(e, **settings), *(alter(e) for alter in alterations))


def moved(kind: str, before: str, at: int = LAST) -> Alteration:
    """Let an event come before another one."""

    def alter(e: Evidence) -> None:
        event, other = e.one(kind, at), e.one(before, at)
        e.events.remove(event)
        e.events.insert(e.events.index(other), event)

    return alter


def schedules(e: Evidence, before_optimizer: int | None = None) -> None:
    """Let the schedule step when it is made and after each optimizer's step, but at one step before it."""
    first = {"kind": "scheduler_step", "step": 0, "micro": 0, "initial": True, "lr": [RATE]}
    e.events.insert(e.events.index(e.one("forward")), first)
    for step in e.all("optimizer_step"):
        place = e.events.index(step) + (step["step"] != before_optimizer)
        e.events.insert(place, {**first, "step": step["step"], "micro": 1, "initial": False})


def rates(e: Evidence, *by_step: float) -> None:
    for step, rate in zip(e.all("optimizer_step"), by_step, strict=True):
        step["lr"] = [rate]


def two_groups(e: Evidence, *by_step: tuple[float, float]) -> None:
    """A second group, of the connector, and at each step the rates of both."""
    decay(e, 0.0, on=CONNECTOR)
    for step, both in zip(e.all("optimizer_step"), by_step, strict=True):
        step["lr"] = list(both)


def short_last_group(e: Evidence) -> None:
    """Three micro-batches are the data: two steps of two and one, and then anew."""
    e.intent["mechanisms"]["epoch"] = 3
    e.events.remove(e.one("backward", 3))


def computes_in(e: Evidence, dtype: str) -> None:
    e.intent["mechanisms"]["compute"] = dtype


def repeated(e: Evidence, *losses: float) -> None:
    """The same two micro-batches at every step, with these losses."""
    e.intent["mechanisms"]["epoch"] = 2
    for event in e.all("backward"):
        event["value"] = losses[event["step"]] * (8.0 if event["step"] == 0 else 4.0) / 2


def decay(e: Evidence, value: float, *, on: str) -> None:
    """Let a parameter be in a group of its own with this weight decay."""
    place = ["m", e.index(on)]
    groups = e.one("optimizer")["groups"]
    groups[0]["parameters"] = [one for one in groups[0]["parameters"] if one != place]
    groups.append({"parameters": [place], "lr": RATE, "weight_decay": value})


def off(e: Evidence, name: str, **differences: float) -> None:
    """Let passes of a probe differ by so much."""
    e.probe(name)["largest_difference"].update(differences)


def norm_trains(e: Evidence) -> None:
    """The norm of the tower is in the optimizer, a vector in a module of its kind."""
    e.put("parameters", "shape", VISION, [2])


def loss_off(share: float) -> Alteration:
    """One backward starts from a value that is off by this share."""
    return lambda e: e.one("backward", LAST).update(value=4.0 * (1 + share))


UNSAID = {"schedule": "other"}
FULL, HALF = (RATE, RATE), (RATE / 2, RATE / 2)

# What a check needs before there is anything to be silent about.
SETTINGS: dict[str, Alteration] = {
    "accumulation_divides": steps(),
    "clipping_effective": steps(),
    "learning_rates_as_declared": steps(),
    "learning_rates_in_proportion": steps(**UNSAID),
    "weight_decay_as_declared": steps(),
    "last_group_steps": steps(short_last_group),
    "repeated_batch_is_learned": steps(lambda e: repeated(e, 3.0, 2.5, 2.0)),
}

LOSS_ALLOWED = 3 * 2.0**-24
NORM_ALLOWED = 1e-6 + 2.0**-14 + 4 * 2.0**-24
RATE_ALLOWED = 0.5e-8
WARM = {"schedule": "linear", "warmup_steps": 1}  # of three steps, the first is skipped: half, half, the whole

SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "events_in_order": [
        ("OutOfOrder", "clipped before unscaling", moved("clip", before="unscale")),
        ("OutOfOrder", "clipped before the last backward", moved("clip", before="backward")),
        ("OutOfOrder", "unscaled before the last backward", moved("unscale", before="backward")),
        ("OutOfOrder", "clipped after the step", moved("optimizer_step", before="clip")),
        ("OutOfOrder", "scaler updated before the step", moved("scaler_update", before="optimizer_step")),
        ("OutOfOrder", "the schedule first", lambda e: schedules(e, before_optimizer=1)),
    ],
    "accumulation_divides": [
        ("LossNotDivided", "one", steps(loss_off(1.0))),
        ("LossNotDivided", "twice what rounding allows", steps(loss_off(2 * LOSS_ALLOWED))),
        ("LossNotDivided", "less, by twice that", steps(loss_off(-2 * LOSS_ALLOWED))),
        ("LossNotDivided", "all", steps(lambda e: [one.update(value=2 * one["value"]) for one in e.all("backward")])),
        ("LossNotDivided", "a loss computed outside", steps(
            lambda e: e.one("forward", LAST).update(loss=None), lambda e: e.one("backward", LAST).update(loss=4.0))),
        ("LossNotDivided", "the last group by the number of the others", steps(
            lambda e: e.one("scaler").update(init_scale=4.0),
            short_last_group, lambda e: e.one("backward", 0).update(value=4.0),
            lambda e: e.one("backward", 1).update(value=4.0))),
    ],
    "last_group_steps": [
        ("TailLost", "a whole group instead", lambda e: e.intent["mechanisms"].update(epoch=3)),
        ("TailLost", "nothing", lambda e: (short_last_group(e), e.events.remove(e.one("backward", 2)))),
    ],
    "repeated_batch_is_learned": [
        ("LossDidNotFall", "equal", steps(lambda e: repeated(e, 2.0, 1.0, 2.0))),
        ("LossDidNotFall", "higher", steps(lambda e: repeated(e, 2.0, 2.5, 3.0))),
        ("LossDidNotFall", "higher than rounding to bf16 makes it", steps(
            lambda e: (computes_in(e, "bfloat16"), repeated(e, 2.0, 2.0, 2.0 + 2.0**-7)))),
        ("LossDidNotFall", "nan", steps(lambda e: repeated(e, 2.0, 1.0, math.nan))),
    ],
    "clipping_effective": [
        ("NormAboveLimit", "twice the limit", steps(lambda e: norms(e, 2.0, 2.0))),
        ("NormAboveLimit", "by twice what rounding allows", steps(
            lambda e: norms(e, 2.0, 1 + 2 * NORM_ALLOWED))),
        ("NormAboveLimit", "grown after clipping", steps(lambda e: norms(e, 0.5, 1.5))),
        ("NormAltered", "half the limit", steps(lambda e: norms(e, 2.0, 0.5))),
        ("NormAltered", "by twice what rounding allows", steps(lambda e: norms(e, 2.0, 1 - 2 * NORM_ALLOWED))),
        ("NormAltered", "one that was below", steps(lambda e: norms(e, 0.5, 0.4))),
    ],
    "learning_rates_as_declared": [
        ("WrongRate", "one step", steps(lambda e: rates(e, RATE, RATE, 2 * RATE))),
        ("WrongRate", "by twice what nine digits hide", steps(
            lambda e: rates(e, RATE, RATE, RATE * (1 + 2 * RATE_ALLOWED)))),
        ("WrongRate", "the first step at the full rate", steps(lambda e: rates(e, RATE, RATE / 2, RATE), **WARM)),
        ("WrongRate", "one step early", steps(lambda e: rates(e, RATE / 2, RATE, RATE / 2), **WARM)),
        ("WrongRate", "a component's own", steps(component_rates={"connector": 2 * RATE})),
        ("WrongRate", "a name's factor", steps(rate_factors={"lora_A": 2.0})),
        ("WrongRate", "beneath the floor", steps(
            lambda e: rates(e, RATE, RATE, 2 * RATE / 3), schedule="linear", floor=0.1)),
        ("WrongRate", "no number", steps(lambda e: rates(e, RATE, RATE, math.nan))),
    ],
    "learning_rates_in_proportion": [
        ("OutOfProportion", "the first step at the full rate", steps(
            lambda e: two_groups(e, (0.0, RATE), HALF, FULL), **UNSAID)),
        ("OutOfProportion", "of all steps, one rate for all", steps(
            lambda e: two_groups(e, HALF, FULL, HALF), component_rates={"connector": 2 * RATE})),
        ("OutOfProportion", "by twice what nine digits hide", steps(
            lambda e: two_groups(e, HALF, FULL, (RATE, RATE * (1 + 4 * RATE_ALLOWED))), **UNSAID)),
        ("OutOfProportion", "no number", steps(lambda e: two_groups(e, HALF, FULL, (RATE, math.nan)), **UNSAID)),
    ],
    "weight_decay_as_declared": [
        ("WrongDecay", "none", steps(weight_decay=0.1)),
        ("WrongDecay", "one", steps(lambda e: decay(e, 0.1, on=A0))),
        ("WrongDecay", "at a later step", steps(lambda e: e.events.append(
            {"kind": "optimizer", "optimizer": "o", "groups": [{"parameters": [["m", e.index(A0)]],
             "weight_decay": 0.1}]}))),
        ("DecayOnBiasOrNorm", "a norm", steps(norm_trains, lambda e: decay(e, 0.1, on=VISION))),
    ],
    "frozen_parts_deterministic": [
        ("FrozenNotDeterministic", "the least", lambda e: off(e, "frozen_in_training", vision=1e-30)),
        ("FrozenNotDeterministic", "not a number", lambda e: off(e, "frozen_in_training", vision=math.nan)),
    ],
    "evaluation_deterministic": [
        ("EvaluationNotDeterministic", "the least", lambda e: off(e, "evaluated_twice", image=1e-30)),
        ("EvaluationNotDeterministic", "not a number", lambda e: off(e, "evaluated_twice", image=math.nan)),
        ("EvaluationAlters", "one buffer", lambda e: e.probe("evaluated_twice").update(
            buffers_changed=["base_model.model.vision.mean"])),
    ],
}  # fmt: skip

SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "events_in_order": [
        ("a schedule", schedules),
        ("zeroed first", lambda e: e.events.insert(0, e.one("zero_grad"))),
        ("unscaled by a disabled scaler", lambda e: (
            moved("clip", before="unscale")(e), e.one("unscale", LAST).update(enabled=False))),
        ("a step that was not finished", lambda e: e.events.append({**e.one("clip"), "step": 9})),
    ],
    "accumulation_divides": [
        ("what rounding allows", steps(loss_off(0.99 * LOSS_ALLOWED))),
        ("a loss computed outside", steps(
            lambda e: e.one("forward", LAST).update(loss=None), lambda e: e.one("backward", LAST).update(loss=2.0))),
        ("of which none is known", steps(lambda e: e.one("forward", LAST).update(loss=None))),
        ("not finite", steps(lambda e: e.one("backward", LAST).update(value="nan"))),
        ("the last group by its own number", steps(
            short_last_group, lambda e: e.one("backward", 2).update(value=8.0))),
    ],
    "last_group_steps": [("its single micro-batch", short_last_group)],
    "repeated_batch_is_learned": [
        ("up in between", steps(lambda e: repeated(e, 3.0, 4.0, 2.0))),
        ("higher by what rounding to bf16 blurs", steps(
            lambda e: (computes_in(e, "bfloat16"), repeated(e, 2.0, 2.0, 2.0 + 2.0**-9)))),
    ],
    "clipping_effective": [
        ("clipped", steps(lambda e: norms(e, 7.0, 1.0))),
        ("what rounding allows", steps(lambda e: norms(e, 7.0, 1 + 0.99 * NORM_ALLOWED))),
        ("a little below", steps(lambda e: norms(e, 7.0, 1 - 0.99 * NORM_ALLOWED))),
        ("what no optimizer holds", steps(lambda e: e.put("gradients", "norm", VISION, 99.0))),
        ("not finite", steps(lambda e: e.put("gradients", "norm", A0, "nan"))),
    ],
    "learning_rates_as_declared": [
        ("a floor", steps(lambda e: rates(e, RATE, RATE, 0.7 * RATE), schedule="linear", floor=0.1)),
        ("a factor for another name", steps(rate_factors={"nowhere": 2.0})),
        ("what nine digits hide", steps(lambda e: rates(e, RATE, RATE, RATE * (1 + 0.99 * RATE_ALLOWED)))),
        ("warm-up, and a skipped step", steps(lambda e: rates(e, RATE / 2, RATE / 2, RATE), **WARM)),
        ("a component that does not train", steps(component_rates={"vision": 2 * RATE})),
    ],
    "learning_rates_in_proportion": [
        ("a schedule that nobody said", steps(lambda e: two_groups(e, (0.0, 0.0), FULL, HALF), **UNSAID)),
        ("what nine digits hide", steps(
            lambda e: two_groups(e, HALF, FULL, (RATE, RATE * (1 + RATE_ALLOWED))), **UNSAID)),
        ("a rate of a component's own", steps(
            lambda e: two_groups(e, (0.0, 0.0), (RATE / 2, RATE), (RATE, 2 * RATE)),
            component_rates={"connector": 2 * RATE}, **UNSAID)),
        ("a factor of a name's own", steps(
            lambda e: two_groups(e, (RATE / 2, RATE), (RATE, 2 * RATE), (RATE, 2 * RATE)),
            rate_factors={"connector": 2.0})),
    ],
    "weight_decay_as_declared": [
        ("a vector that is neither", steps(
            lambda e: e.put("parameters", "shape", A0, [4]), lambda e: e.put("parameters", "shape", CONNECTOR, [4]),
            lambda e: e.one("optimizer").update(groups=[
                {"parameters": [["m", e.index(CONNECTOR)]], "weight_decay": 0.1},
                {"parameters": [["m", e.index(A0)]], "weight_decay": 0.0}]), weight_decay=0.1)),
        ("a norm without", steps(norm_trains, lambda e: decay(e, 0.0, on=VISION))),
    ],
    "frozen_parts_deterministic": [
        ("what trains may use dropout", lambda e: off(e, "frozen_in_training", connector=1.0)),
        ("nothing of it in train mode", lambda e: e.probe("frozen_in_training").update(largest_difference={})),
    ],
    "evaluation_deterministic": [("two batches", lambda e: off(e, "evaluated_twice", text=0.0))],
}  # fmt: skip
