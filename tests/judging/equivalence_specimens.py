"""Specimens of two ways of making one run: the run itself, and its partner."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from tests.judging.steps_specimens import declared

Evidence = Any
Alteration = Callable[[Evidence], object]
PARTNERS = {
    "one-batch": "in_one_batch",
    "no-checkpointing": "without_checkpointing",
    "fp32": "in_fp32",
    "eager": "eagerly",
    "one-process": "in_one_process",
    "uninterrupted": "uninterrupted",
    "eager-attention": "with_eager_attention",
    "torch": "by_a_plain_loop",
}


def agrees(other: str, *alterations: Alteration) -> Alteration:
    """The recipe promises to agree with another way, whose run is the same but for the alterations."""

    def alter(e: Evidence) -> None:
        e.intent["agrees_with"] = [other]
        own = e.events
        e.events = deepcopy(own)
        for one in alterations:
            one(e)
        e.partners[PARTNERS[other]] = e.events
        e.events = own

    return alter


def clipped(factor: float) -> Alteration:
    return lambda e: e.one("clip", -1).update(total=float(e.one("clip", -1)["total"]) * factor)


def one_gradient_twice_as_large(e: Evidence) -> None:
    gradients = [event for event in e.all("gradients") if event["moment"] == "optimizer"][-1]["norm"]
    place = next(index for index, norm in enumerate(gradients) if norm)
    gradients[place] *= 2


def without_last_step(e: Evidence) -> None:
    last = e.one("optimizer_step", -1)["step"]
    e.events = [event for event in e.events if event.get("step") != last or event["kind"] == "save"]


def other_data(e: Evidence) -> None:
    e.one("data")["digest"] = "others"


def other_model(e: Evidence) -> None:
    columns = e.one("parameters")
    columns["shape"] = [[3, 3]] * len(columns["shape"])


def as_one_batch(e: Evidence) -> None:
    """Each step has one micro-batch, and what is seen once in it is the same."""
    for event in e.events:
        if "micro" in event:
            event["micro"] = 0


def by_tokens(*learned: int) -> Alteration:
    """A step's loss is the mean over its tokens, of which its micro-batches have so many."""

    def alter(e: Evidence) -> None:
        declared(e)
        e.intent["mechanisms"]["loss_average"] = "token"
        for event in e.all("forward"):
            if event["training"]:
                event["learned"] = {"stretches": [[[2, 2 + learned[event["micro"]]]]]}

    return alter


def first_alone_learns(e: Evidence) -> None:
    """Of the second micro-batch of each step no labels were seen, and its loss does not count."""
    by_tokens(4, 0)(e)
    for forward, backward in zip(e.all("forward"), e.all("backward"), strict=True):
        if forward["micro"]:
            forward.pop("learned")
        backward["value"] *= 0 if backward["micro"] else 2


def first_alone_is_seen(e: Evidence) -> None:
    """Of the second micro-batch of each step no forward was seen, and its loss does not count."""
    first_alone_learns(e)
    for backward in e.all("backward"):
        backward["loss"] = 2.0
    e.events = [event for event in e.events if event["kind"] != "forward" or not event["micro"]]


def nothing_learned(e: Evidence) -> None:
    """No step has a token that is learned."""
    by_tokens(0, 0)(e)
    for backward in e.all("backward"):
        backward["value"] = 0.0


def without_scaler(*alterations: Alteration) -> Alteration:
    """The run is not scaled, nor is its partner in fp32."""
    return lambda e: (e.drop("scaler"), agrees("fp32", *alterations)(e))


def another_backward(e: Evidence) -> None:
    e.one("backward", -1)["value"] *= 2


SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "accumulation_divides": [
        ("LossNotDivided", "a micro-batch of fewer tokens counts as the other", by_tokens(2, 6)),
        ("LossNotDivided", "a micro-batch without any token counts", by_tokens(4, 0)),
    ],
    "accumulation_equals_one_batch": [
        ("AccumulationMatters", "gradients twice as large", agrees("one-batch", clipped(2.0))),
        ("AccumulationMatters", "one gradient twice as large", agrees("one-batch", one_gradient_twice_as_large)),
        ("AccumulationMatters", "a step less", agrees("one-batch", without_last_step)),
        ("AccumulationMatters", "other data", agrees("one-batch", other_data)),
        ("AccumulationMatters", "other data and another model", agrees("one-batch", other_data, other_model)),
    ],
    "precision_changes_little": [
        ("PrecisionMatters", "a backward that is off", without_scaler(another_backward)),
        ("PrecisionMatters", "gradients twice as large", agrees("fp32", clipped(2.0))),
        ("PrecisionMatters", "a loss that is off", agrees("fp32", lambda e: e.one("forward", -1).update(loss=2.25))),
    ],
    "checkpointing_changes_nothing": [
        ("CheckpointingMatters", "gradients twice as large", agrees("no-checkpointing", clipped(2.0))),
        ("CheckpointingMatters", "one gradient", agrees("no-checkpointing", one_gradient_twice_as_large)),
    ],
    "lazy_equals_eager": [
        (
            "LazinessMatters",
            "a token and a picture",
            agrees("eager", lambda e: e.one("forward", 2).update(samples=["?", "?"], pixels="?")),
        ),
        ("LazinessMatters", "one token", agrees("eager", lambda e: e.one("forward", 2)["samples"].__setitem__(1, "?"))),
        ("LazinessMatters", "other pictures", agrees("eager", lambda e: e.one("forward", -1).update(pixels="?"))),
        (
            "LazinessMatters",
            "a label",
            agrees("eager", lambda e: e.one("forward")["learned"]["fingerprint"].__setitem__(0, "?")),
        ),
        (
            "LazinessMatters",
            "a micro-batch more",
            agrees("eager", lambda e: e.events.append(dict(e.one("forward", -1)))),
        ),
        ("LazinessMatters", "a micro-batch less", agrees("eager", lambda e: e.events.remove(e.one("forward", -1)))),
    ],
}
SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "accumulation_divides": [
        ("as many tokens in each", by_tokens(3, 3)),
        ("a micro-batch whose labels were not seen, and that does not count", first_alone_learns),
        ("a micro-batch whose forward was not seen, and that does not count", first_alone_is_seen),
        ("no token at all", nothing_learned),
    ],
    "accumulation_equals_one_batch": [
        ("one micro-batch in the partner's steps", agrees("one-batch", as_one_batch)),
        ("gradients within rounding", agrees("one-batch", clipped(1.00001))),
    ],
    "checkpointing_changes_nothing": [("the same", agrees("no-checkpointing"))],
    "precision_changes_little": [
        ("a backward from another scale", agrees("fp32", another_backward)),
        ("a hundredth of the gradients", agrees("fp32", clipped(1.01))),
    ],
    "lazy_equals_eager": [("other gradients", agrees("eager", one_gradient_twice_as_large))],
}
SETTINGS: dict[str, Alteration] = {
    "accumulation_equals_one_batch": agrees("one-batch"),
    "checkpointing_changes_nothing": agrees("no-checkpointing"),
    "precision_changes_little": agrees("fp32"),
    "lazy_equals_eager": agrees("eager"),
}
