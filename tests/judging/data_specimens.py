"""Specimens of what is learned, and of what the model is given to learn it from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Evidence = Any
Alteration = Callable[[Evidence], object]

LAST = -1


def labels(e: Evidence, *stretches: list[int], at: int = 2, row: int = 1) -> None:
    """Let one row of one micro-batch learn other places."""
    e.one("forward", at)["learned"]["stretches"][row] = list(stretches)


def text(e: Evidence, name: str, *texts: str, at: int = 2, row: int = 1) -> None:
    """Let the labels of one sample say another text."""
    e.one("data")["learned"][at][row]["text"][name] = list(texts)


def seen_by_the_loss(e: Evidence) -> None:
    """Let the labels be seen where the loss is computed, not by the model."""
    for forward, backward in zip(e.all("forward"), e.all("backward"), strict=True):
        backward["learned"] = forward.pop("learned")


def shuffled(e: Evidence) -> None:
    """Let the first sample, whose labels are its own, come last, and the last first."""
    first, last = e.one("forward"), e.one("forward", LAST)
    for row in range(2):
        for promised in (e.one("data")["learned"][0][row],):
            promised["stretches"] = [[1, 2]]
        last["learned"]["stretches"][row] = [[1, 2]]
    first["samples"], last["samples"] = last["samples"], first["samples"]


def off(e: Evidence, probe: str, name: str, difference: Any) -> None:
    e.probe(probe)["largest_difference"][name] = difference


def in_both(in_16_bits: float, in_float32: float) -> Alteration:
    """A picture's logits so far off in company, in bf16 and in float32."""

    def alter(e: Evidence) -> None:
        e.intent.update(weights="bfloat16")
        off(e, "together", "image", in_16_bits)
        exact = {"image": in_float32, "text": 0.0}
        e.probe("together")["in_float32"] = {"largest_difference": exact, "largest_logit": {"image": 1.0, "text": 1.0}}

    return alter


def pictures(e: Evidence, **counts: int) -> None:
    e.probe("together")["pictures"].update(counts)


UNIT = 2.0**-24  # of rounding, in fp32
NAN = "nan"
SETTINGS: dict[str, Alteration] = {}

SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "samples_in_order": [
        ("SampleSubstituted", "another", lambda e: e.one("forward", LAST)["samples"].__setitem__(1, "sample-0-0")),
        ("SampleSubstituted", "a stranger", lambda e: e.one("forward")["samples"].__setitem__(0, "?")),
        ("SampleSubstituted", "a row dropped", lambda e: e.one("forward", LAST)["samples"].pop()),
        ("SampleSubstituted", "a row too many", lambda e: e.one("forward")["samples"].append("sample-0-0")),
        ("SampleSubstituted", "a micro-batch dropped", lambda e: e.events.remove(e.one("forward", LAST))),
        ("SampleSubstituted", "a micro-batch too many", lambda e: e.events.insert(-1, e.one("forward"))),
        ("SampleSubstituted", "no ids seen", lambda e: [event.pop("samples") for event in e.all("forward")]),
    ],
    "labels_present": [
        ("NoLabels", "one micro-batch", lambda e: e.one("forward", LAST).update(labels=0)),
    ],
    "pixels_matter": [
        ("PixelsIgnored", "equal", lambda e: e.probe("other_pixels").update(largest_difference=0.0)),
        (
            "PixelsIgnored",
            "of a second tower",
            lambda e: e.probe("other_pixels").update(further={"pixel_values_aux": 0.0, "pixel_values_more": 0.1}),
        ),
    ],
    "labels_say_the_answers": [
        ("LearnedTextDiffers", "another text", lambda e: text(e, "decoded", "first", "other")),
        ("LearnedTextDiffers", "in other places", lambda e: text(e, "in_place", "other", "second")),
        ("LearnedTextDiffers", "a stretch too few", lambda e: (
            text(e, "decoded", "first"), text(e, "in_place", "first"))),
        ("LearnedTextDiffers", "a stretch too many", lambda e: (
            text(e, "decoded", "first", "second", "third"), text(e, "in_place", "first", "second"))),
        ("ExtraLabels", "one", lambda e: labels(e, [3, 7], [9, 10])),
        ("ExtraLabels", "in padding", lambda e: labels(e, [4, 7], [9, 11])),
        ("ExtraLabels", "before the first token", lambda e: labels(e, [-1, 0], [4, 7], [9, 10])),
        ("MissingLabels", "one", lambda e: labels(e, [4, 7])),
        ("LabelsMisplaced", "by one", lambda e: labels(e, [3, 6], [8, 9])),
        ("LabelsAltered", "other ids", lambda e: (
            e.one("forward", 2)["learned"]["fingerprint"].__setitem__(1, "other"))),
        ("MissingLabels", "seen by the loss", lambda e: (labels(e, [4, 7]), seen_by_the_loss(e))),
        ("MissingLabels", "of a sample that was cut", lambda e: (
            labels(e, [4, 7]), e.one("forward", 2)["samples"].__setitem__(1, "cut"))),
    ],
    "template_fits_tokenizer": [
        ("TemplateTokenCutUp", "in two", lambda e: e.one("data")["single"].update({"<end>": 2})),
        ("TemplateTokenCutUp", "into nothing", lambda e: e.one("data")["single"].update({"<turn>": 0})),
        ("TemplateTokenCutUp", "never looked at", lambda e: e.one("data")["single"].pop("<turn>")),
    ],
    "samples_whole": [
        ("SampleCut", "one token", lambda e: e.one("forward", 2)["lengths"].__setitem__(1, 9)),
        ("SampleCut", "behind its pictures", lambda e: e.one("forward", 2)["lengths"].__setitem__(0, 3)),
        ("PictureCut", "one image token", lambda e: e.one("forward", 2)["lengths"].__setitem__(0, 2)),
        ("SampleTooLong", "by one", lambda e: e.one("forward", 2)["lengths"].__setitem__(1, 11)),
    ],
    "pictures_in_order": [
        ("PicturesDiffer", "one micro-batch", lambda e: e.one("forward", 2).update(pixels="other")),
        ("PicturesDiffer", "left out", lambda e: e.one("forward", LAST).pop("pixels")),
    ],
    "image_features_in_place": [
        ("FeatureCountDiffers", "a token too few", lambda e: pictures(e, tokens=5, in_place=5)),
        ("FeatureCountDiffers", "a token too many", lambda e: pictures(e, tokens=7)),
        ("FeatureCountDiffers", "no features", lambda e: pictures(e, features=0, in_place=0)),
        ("FeaturesMisplaced", "one", lambda e: pictures(e, in_place=5)),
    ],
    "padding_right_harmless": [
        ("PaddingMatters", "twice what rounding explains", lambda e: off(e, "padded_right", "text", 128 * UNIT)),
        ("PaddingMatters", "nan", lambda e: off(e, "padded_right", "text", NAN)),
    ],
    "padding_left_harmless": [
        ("PaddingMatters", "twice what rounding explains", lambda e: off(e, "padded_left", "text", 128 * UNIT)),
        ("PaddingMatters", "nan", lambda e: off(e, "padded_left", "text", NAN)),
    ],
    "batch_composition_harmless": [
        ("CompanyMatters", "twice what rounding explains", lambda e: off(e, "together", "text", 128 * UNIT)),
        ("CompanyMatters", "nan", lambda e: off(e, "together", "image", NAN)),
        ("CompanyMatters", "in 16 bits", lambda e: (
            e.intent.update(weights="bfloat16"), off(e, "together", "image", 32 * 2.0**-8))),
        ("CompanyMatters", "in 16 bits, and in float32", in_both(32 * 2.0**-8, 2.0**-12)),
        ("CompanyMatters", "not finite in 16 bits alone", in_both(NAN, 0.0)),
    ],
}  # fmt: skip

SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "samples_in_order": [
        ("an evaluation", lambda e: e.events.insert(
            e.events.index(e.one("forward")), {"kind": "forward", "training": False, "samples": ["?"]})),
        ("a run that ended early", lambda e: (e.drop("closing"), e.events.remove(e.one("forward", LAST)))),
    ],
    "labels_present": [
        ("none given to the model", lambda e: e.one("forward").pop("labels")),
        ("an evaluation", lambda e: e.one("forward").update(training=False, labels=0)),
    ],
    "pixels_matter": [
        ("the least difference", lambda e: e.probe("other_pixels").update(largest_difference=1e-30)),
        ("a second tower's", lambda e: e.probe("other_pixels").update(further={"pixel_values_aux": 1e-30})),
    ],
    "labels_say_the_answers": [
        ("seen by the loss", seen_by_the_loss),
        ("samples in another order", shuffled),
        ("an evaluation", lambda e: e.events.insert(0, {"kind": "forward", "training": False, "learned": "?"})),
        ("more rows than were announced", lambda e: e.events.append(
            {**e.one("forward", LAST), "step": 9, "samples": ["?"]})),
    ],
    "template_fits_tokenizer": [
        ("a token of another template", lambda e: e.one("data")["single"].update({"<other>": 7})),
    ],
    "samples_whole": [
        ("no limit", lambda e: (
            e.intent.update(max_length=None), e.one("forward")["lengths"].__setitem__(0, 11))),
    ],
    "pictures_in_order": [
        ("a batch of text", lambda e: (
            e.one("data")["pixels"].__setitem__(2, None), e.one("forward", 2).pop("pixels"))),
        ("a run that ended early", lambda e: (e.drop("closing"), e.events.remove(e.one("forward", LAST)))),
    ],
    "image_features_in_place": [
        ("no pictures", lambda e: pictures(e, tokens=0, features=0, in_place=0)),
    ],
    "padding_right_harmless": [
        ("rounding", lambda e: off(e, "padded_right", "text", 64 * UNIT)),
        ("padding matters on the left", lambda e: off(e, "padded_left", "text", 1.0)),
    ],
    "padding_left_harmless": [
        ("rounding", lambda e: off(e, "padded_left", "text", 64 * UNIT)),
        ("padding matters on the right", lambda e: off(e, "padded_right", "text", 1.0)),
    ],
    "batch_composition_harmless": [
        ("rounding", lambda e: off(e, "together", "text", 64 * UNIT)),
        ("rounding in 16 bits", lambda e: (
            e.intent.update(weights="bfloat16"), off(e, "together", "image", 16 * 2.0**-8))),
        ("another expert in 16 bits, and not in float32", in_both(2.0**-5, 256 * UNIT)),
        ("rounding that is magnified in both", in_both(0.5, 2.0**-11)),
    ],
}  # fmt: skip
