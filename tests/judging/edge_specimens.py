"""Specimens at the edges of training: the last value that is no fault, the first that is one, exactly two of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.judging.data_specimens import labels, text
from tests.judging.steps_specimens import RATE, norms, rates, repeated, short_last_group, steps

Evidence = Any
Alteration = Callable[[Evidence], object]

BASE = "base_model.model."
LAST = -1
NAN = "nan"
CONNECTOR = "connector.modules_to_save.default.weight"
VISION, FC = "vision.norm.weight", "language.layers.0.fc.weight"
A0, A1, B0 = "0.q_proj.lora_A.default.weight", "1.q_proj.lora_A.default.weight", "0.q_proj.lora_B.default.weight"
B1 = "1.q_proj.lora_B.default.weight"
LINEAR = {"schedule": "linear", "warmup_steps": 0}


def losses(e: Evidence, *by_micro: float, value: float = 4.0) -> None:
    """The losses that the model gave, from the last micro-batch backwards."""
    for at, loss in enumerate(by_micro, start=1):
        e.one("forward", -at)["loss"] = loss
        e.one("backward", -at)["value"] = value


def renamed(e: Evidence, path: str, to: str) -> None:
    paths = e.one("parameters")["path"]
    paths[e.index(path)] = to


def group_of(e: Evidence, path: str, model: str = "m", **settings: Any) -> None:
    """A second group of the optimizer, with one parameter in it and in no other."""
    groups, place = e.one("optimizer")["groups"], [model, e.index(path)]
    groups[0]["parameters"] = [one for one in groups[0]["parameters"] if one != place]
    groups.append({"parameters": [place], "lr": RATE, **settings})


def module_of(e: Evidence, path: str, kind: str) -> None:
    modules = e.one("model")["modules"]
    modules["path"].append(path)
    modules["type"].append(kind)


def second_optimizer(e: Evidence, path: str, rate: float) -> None:
    """Another optimizer holds a parameter, moves it at a rate of its own, and was made first."""
    place = ["m", e.index(path)]
    group = e.one("optimizer")["groups"][0]["parameters"]
    group[:] = [one for one in group if one != place]
    made = {"kind": "optimizer", "optimizer": "p", "groups": [{"parameters": [place], "lr": rate}]}
    e.events.insert(e.events.index(e.one("optimizer")), made)
    for step in e.all("optimizer_step"):
        e.events.insert(e.events.index(step) + 1, {**step, "optimizer": "p", "lr": [rate]})


def no_gradient(e: Evidence, path: str) -> None:
    for column in ("norm", "nonzero"):
        e.put("gradients", column, path, None, moment="optimizer")


def one_effective_step(e: Evidence) -> None:
    e.one("optimizer_step", 1).update(skipped=True)


def norm_at(e: Evidence, moment: str, norm: float, at: int = LAST) -> None:
    """One gradient makes the whole norm of one step."""
    event = [one for one in e.all("gradients") if one["moment"] == moment][at]
    event["norm"] = [None if one is None else 0.0 for one in event["norm"]]
    event["norm"][e.index(A0)] = norm


def buffer(e: Evidence, path: str, last: str) -> None:
    for kind, column, value in (("buffers", "path", path), ("buffers", "fingerprint", "b"), ("final", "buffers", last)):
        e.one(kind)[column].append(value)


def before(e: Evidence, kind: str, other: str, at: int) -> None:
    event = e.one(kind, at)
    e.events.remove(event)
    e.events.insert(e.events.index(e.one(other, at)), event)


def skips(e: Evidence, *, at: int) -> None:
    e.one("optimizer_step", at).update(skipped=True)
    e.one("scaler_update", at).update(before=4.0, after=2.0)


SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "run.completed": [
        ("RunEnded", "with a remedy", lambda e: e.events.append(
            {"kind": "failure", "stage": "save", "error": "E", "message": "m", "do": "free some space"})),
    ],
    "run.mechanism_active": [
        ("MechanismIdle", "a group of two where the data end", lambda e: e.intent["mechanisms"].update(epoch=3)),
        ("MechanismIdle", "a micro-batch too few at two steps", lambda e: [
            e.events.remove(e.one("backward", at)) for at in (5, 3)]),
        ("MechanismIdle", "an adapter, and no model that is known", lambda e: e.drop("model")),
    ],
    "accumulation_divides": [
        ("LossNotDivided", "of a loss of zero", steps(lambda e: losses(e, 0.0))),
    ],
    "last_group_steps": [
        ("TailLost", "at every step", lambda e: e.intent["mechanisms"].update(epoch=1)),
    ],
    "weight_decay_as_declared": [
        ("WrongDecay", "a layer in a package of norms", steps(
            lambda e: module_of(e, f"{BASE}language.layers.0.q_proj.lora_A.default", "my.norms.Linear"),
            lambda e: group_of(e, A0, weight_decay=0.1))),
        ("DecayOnBiasOrNorm", "a bias", steps(
            lambda e: renamed(e, A0, f"{BASE}language.bias"),
            lambda e: e.one("optimizer")["groups"].append({"parameters": [["m", e.index(A0)]], "weight_decay": 0.1}))),
    ],
    "evaluation_deterministic": [
        ("EvaluationNotDeterministic", "both batches", lambda e: (
            e.probe("evaluated_twice")["largest_difference"].update(image=0.5, text=0.25))),
    ],
    "frozen_buffers_unchanged": [
        ("BufferMoved", "beside an adapter", lambda e: buffer(e, f"{BASE}language.mean", "moved")),
    ],
    "trainable_parameters_moved": [
        ("DidNotMove", "at the single effective step", lambda e: (one_effective_step(e), e.stays(CONNECTOR))),
        ("DidNotMove", "large, and in no optimizer", lambda e: (
            e.stays(B0), e.one("optimizer")["groups"][0]["parameters"].remove(["m", e.index(B0)]),
            e.put("parameters", "dtype", B0, "bfloat16"), e.put("parameters", "rms", B0, 1024.0))),
        ("DidNotMove", "in a precision whose last place is not known", lambda e: (
            e.stays(CONNECTOR), e.put("parameters", "dtype", CONNECTOR, "float8_e4m3fn"))),
    ],
    "updates_not_lost_to_rounding": [
        ("UpdateLostToRounding", "and a last step of rate zero", lambda e: (
            e.stays(CONNECTOR), rates(e, RATE, RATE, 0.0))),
        ("UpdateLostToRounding", "in a second group that never moved it", lambda e: (
            e.stays(CONNECTOR),
            e.one("optimizer")["groups"].append({"parameters": [["m", e.index(CONNECTOR)]], "lr": RATE}))),
    ],
    "labels_say_the_answers": [
        ("LearnedTextDiffers", "of two samples more", lambda e: [
            text(e, "decoded", "first", "other", at=at) for at in (1, 2, 3)]),
        ("LearnedTextDiffers", "of one sample more", lambda e: [
            text(e, "decoded", "first", "other", at=at) for at in (1, 2)]),
        ("ExtraLabels", "in one row more", lambda e: [labels(e, [3, 7], [9, 10], row=row) for row in (0, 1)]),
        ("ExtraLabels", "in two rows more", lambda e: [labels(e, [3, 7], [9, 10], at=at) for at in (1, 2, 3)]),
    ],
    "losses_finite": [
        ("LossNotFinite", "two", lambda e: [one.update(loss=NAN) for one in e.all("forward")[-2:]]),
    ],
    "gradients_finite": [
        ("GradientNotFinite", "the first of a second model", lambda e: e.one("gradients", LAST)["norm"].append(NAN)),
    ],
    "gradients_zeroed_once_per_step": [
        ("StaleGradients", "at the second step", lambda e: e.one("backward", 2).update(stale=1)),
    ],
    "events_in_order": [
        ("OutOfOrder", "at two steps of three", lambda e: (
            before(e, "clip", "unscale", 0), before(e, "clip", "unscale", 2))),
    ],
    "clipping_effective": [
        ("NormAboveLimit", "at one step", steps(lambda e: norm_at(e, "optimizer", 3.0))),
        ("NormAltered", "at one step", steps(lambda e: norm_at(e, "optimizer", 0.25))),
        ("NormAltered", "made larger, up to the limit", steps(lambda e: norms(e, 0.5, 1.0))),
    ],
    "learning_rates_as_declared": [
        ("WrongRate", "a step late", steps(lambda e: rates(e, RATE, RATE, RATE), **LINEAR)),
        ("WrongRate", "of no step", steps(lambda e: rates(e, RATE, RATE, 0.7 * RATE), **LINEAR)),
        ("WrongRate", "nearly a step late", steps(lambda e: rates(e, RATE, RATE, RATE * (1 + 1e-6)), **LINEAR)),
        ("WrongRate", "after the end", steps(
            lambda e: e.one("optimizer_step").update(skipped=False),
            lambda e: rates(e, RATE, 2 * RATE / 3, 0.0), **LINEAR)),
        ("WrongRate", "of one of two optimizers", steps(
            lambda e: second_optimizer(e, CONNECTOR, RATE),
            lambda e: e.one("optimizer", 1)["groups"][0]["parameters"].append(["m", e.index(CONNECTOR)]),
            lambda e: [one.update(lr=[2 * RATE]) for one in e.all("optimizer_step") if one["optimizer"] == "o"])),
    ],
    "gradients_unscaled_before_clip": [
        ("ClippedScaled", "at two steps", lambda e: (
            e.events.remove(e.one("unscale", 0)), e.events.remove(e.one("unscale", 0)))),
        ("UnscaledEarly", "at two steps", lambda e: [
            e.events.insert(e.events.index(e.one("backward", at)), dict(e.one("unscale"))) for at in (3, 5)]),
    ],
    "skipped_steps_change_nothing": [
        ("ScheduleAdvanced", "two schedules", lambda e: [
            e.events.insert(
                e.events.index(e.one("optimizer_step")) + 1,
                {"kind": "scheduler_step", "step": 0, "micro": 1, "initial": False, "lr": [RATE]})
            for _ in range(2)]),
    ],
    "scale_backs_off_and_recovers": [
        ("NoRecovery", "another optimizer's step beside the skipped one", lambda e: (
            e.intent["mechanisms"].update(overflow=False), skips(e, at=1), skips(e, at=2),
            e.events.append({**e.one("optimizer_step"), "optimizer": "p", "skipped": False}))),
    ],
}  # fmt: skip

SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "run.completed": [("nobody says how the process ended", lambda e: e.outcome.clear())],
    "run.mechanism_active": [
        ("one micro-batch where the data end", short_last_group),
        ("nothing saved, in one file", lambda e: (
            e.intent["save"].update(what="nothing"), e.saved["tensors"].pop("extra.b"))),
        ("a directory that was not listed", lambda e: e.stream.pop(0)),
    ],
    "accumulation_divides": [
        ("a loss of zero", steps(lambda e: losses(e, 0.0, value=0.0))),
        ("a larger share, and what rounding allows of it", steps(
            lambda e: losses(e, 8.0, value=16.0 * (1 + 0.9 * 3 * 2.0**-24)))),
        ("no scaler", steps(
            lambda e: e.drop("scaler", "scaler_update"),
            lambda e: [one.update(value=1.0) for one in e.all("backward")])),
    ],
    "last_group_steps": [
        ("too few in a whole group, which is another check's word", lambda e: (
            short_last_group(e), e.events.remove(e.one("backward")))),
    ],
    "repeated_batch_is_learned": [("by the least", steps(lambda e: repeated(e, 2.0, 2.0, 2.0 - 2.0**-20)))],
    "weight_decay_as_declared": [
        ("a parameter of no model, and one of another", steps(
            lambda e: e.one("optimizer")["groups"].append({"parameters": [None, ["n", 0]], "weight_decay": 0.1}))),
        ("a parameter of a module that is not in the tree", steps(lambda e: renamed(e, A0, f"{BASE}elsewhere.weight"))),
    ],
    "frozen_buffers_unchanged": [
        ("a model without buffers", lambda e: (e.drop("buffers"), e.one("final").update(buffers=[]))),
    ],
    "trainable_parameters_moved": [
        ("LoRA's B of an embedding at the first effective step, beside an A of zeros", lambda e: (
            one_effective_step(e), e.stays(B1), e.put("parameters", "rms", A1, 0.0),
            renamed(e, A1, f"{BASE}language.layers.1.q_proj.lora_embedding_A.default"),
            renamed(e, B1, f"{BASE}language.layers.1.q_proj.lora_embedding_B.default"))),
        ("LoKr's second factor at the first effective step, beside a first of zeros", lambda e: (
            one_effective_step(e), e.stays(A1), e.put("parameters", "rms", B1, 0.0),
            renamed(e, A1, f"{BASE}language.layers.1.q_proj.lokr_w2.default"),
            renamed(e, B1, f"{BASE}language.layers.1.q_proj.lokr_w1.default"))),
        ("a step below half an ulp of large weights", lambda e: (
            e.stays(CONNECTOR), e.put("parameters", "dtype", CONNECTOR, "bfloat16"),
            e.put("parameters", "rms", CONNECTOR, 4.0))),
    ],
    "labels_say_the_answers": [
        ("a row more, of a sample that nobody announced", lambda e: (
            e.one("forward")["samples"].append("of nobody"),
            e.one("forward")["learned"]["fingerprint"].append("labels"),
            e.one("forward")["learned"]["stretches"].append([[1, 9]]))),
    ],
    "updates_not_lost_to_rounding": [
        ("held, and never moved by any group", lambda e: (e.stays(CONNECTOR), group_of(e, CONNECTOR))),
        ("without any gradient, which is another check's word", lambda e: (
            e.stays(CONNECTOR), no_gradient(e, CONNECTOR))),
    ],
    "clipping_effective": [
        ("no gradient at all", steps(lambda e: norms(e, 0.0, 0.0))),
        ("an infinite one after clipping", steps(lambda e: e.put("gradients", "norm", A0, "inf", moment="optimizer"))),
        ("of a skipped step", steps(lambda e: e.events.insert(
            e.events.index(e.one("optimizer_step")), {**e.one("gradients", 2), "step": 0, "norm": [9.0] * 9}))),
        ("of a step whose gradients before were not recorded", steps(
            lambda e: e.events.remove(next(
                one for one in e.all("gradients") if one["step"] == 2 and one["moment"] == "backward")))),
    ],
    "learning_rates_as_declared": [
        ("nobody promises how many steps", steps(
            lambda e: (e.intent.update(steps=None), rates(e, RATE / 2, RATE / 2, RATE)),
            schedule="linear", warmup_steps=1)),
        ("a longer run that was cut off", steps(
            lambda e: (e.intent.update(steps=6), rates(e, RATE, RATE, 5 * RATE / 6)), **LINEAR)),
        ("the end of the schedule", steps(
            lambda e: (e.intent.update(steps=2), e.one("optimizer_step").update(skipped=False)),
            lambda e: rates(e, RATE, RATE / 2, 0.0), **LINEAR)),
        ("two optimizers, each with its own", steps(
            lambda e: second_optimizer(e, CONNECTOR, 2 * RATE), component_rates={"connector": 2 * RATE})),
        ("a group that is not there yet", steps(lambda e: group_of(e, CONNECTOR))),
    ],
    "skipped_steps_change_nothing": [
        ("a schedule that is stepped before anything", lambda e: e.events.insert(
            e.events.index(e.one("forward")),
            {"kind": "scheduler_step", "step": 0, "micro": 0, "initial": False, "lr": [RATE]})),
    ],
    "frozen_parts_deterministic": [
        ("exactly none", lambda e: e.probe("frozen_in_training")["largest_difference"].update(vision=-0.0)),
    ],
}  # fmt: skip
