"""Weights that are loaded arrive, and weights that were trained are saved."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.universal.models import Model, models_of
from harness.checks.universal.registry import Absent, universal
from harness.result import Finding, Severity
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.trace.reader import Record, Trace

FEW = 0.5  # of a checkpoint's keys


class LoadedNothing(Finding):
    """A load that went through and of which not one key met the model."""


class LoadedLittle(Finding):
    """A load of which most keys met nothing."""


class SavedAsBegun(Finding):
    """Saved weights that are those from before training."""


class NotSaved(Finding):
    """Trained parameters that are in none of the files that hold the others."""


def _loads(trace: Trace) -> Absent | None:
    return None if trace.of("load") or trace.of("pretrained") else Absent.NO_LOAD


@universal(
    "weights that are loaded meet the model",
    source="minimind-v #75: load_state_dict(strict=False) loaded nothing after a renaming; MGM #31",
    areas=("loads",),
    about=_loads,
    covers="parts_meet_the_model",
)
def loads_arrive(trace: Trace) -> Iterator[Finding]:
    for load in trace.of("load"):
        keys, matched = load["keys"], load["matched"]
        if load["strict"] or not keys or matched >= FEW * keys:
            continue
        kind = LoadedLittle if matched else LoadedNothing
        yield kind(
            expected=f"{count(keys, 'key')} that {load['module']} knows",
            seen=f"{matched} of them; {_first_loss(trace)}",
            where=f"load_state_dict of {load['module']}: it has no {listed(load['unexpected'])}",
            cause="strict=False drops what it does not know: keys of another class or wrapper, or modules made later",
            do="look at what load_state_dict returns, or leave strict=True",
            severity=Severity.WARNING if matched else Severity.ERROR,
        )
    for made in trace.of("pretrained"):
        keys, arrived = made["keys"], made["keys"] - made["missing"] - made["mismatched"]
        if not keys or arrived > FEW * keys:
            continue
        kind = LoadedLittle if arrived > 0 else LoadedNothing
        yield kind(
            expected=f"weights for the {keys} keys of {made['type']}",
            seen=f"for {max(arrived, 0)}: {made['missing']} missing, {made['mismatched']} of other shapes; "
            f"{_first_loss(trace)}",
            where=f"{made['type']}.from_pretrained: {listed(made['such_as'])}",
            cause="the directory holds the weights of another class or under other names, or of an adapter alone",
            severity=Severity.WARNING if arrived > 0 else Severity.ERROR,
        )


def _first_loss(trace: Trace) -> str:
    """The first loss, and what guessing would have: weights that did not arrive do no better."""
    first = next((event for event in trace.of("backward") if event["value"] is not None), None)
    if first is None:
        return "no loss is known"
    given = next((event["loss"] for event in trace.of("forward") if event["training"]), None)
    loss = next(value for value in (first.get("loss"), given, first["value"]) if value is not None)
    chance = f", that of guessing {math.log(first['classes']):.4g}" if first.get("classes", 1) > 1 else ""
    return f"the first loss was {float(loss):.4g}{chance}"


def _saves(trace: Trace) -> Absent | None:
    return None if trace.of("weights_saved") else Absent.NO_SAVE


@universal(
    "trained values reach the files that are saved",
    source="MiniCPM-V #559: the saved model is the base; a head that trained and was not saved",
    areas=("saves", "parameters"),
    about=_saves,
)
def trained_values_saved(trace: Trace) -> Iterator[Finding]:
    for model in models_of(trace):
        saves = [_against(model, event) for event in trace.of("weights_saved") if event["model"] == model.ident]
        if not saves or not model.steps:
            continue
        as_begun = ((event, begun) for event in _last_of_each(saves) if (begun := _only_begun(event, saves)))
        for event, begun in itertools.islice(as_begun, 1):
            yield SavedAsBegun(
                expected="the values that training led to",
                seen=f"{count(len(begun), 'parameter')} as before training",
                where=f"{event['file']}: {listed(map(model.name, begun))}",
                cause="what is saved is a copy from before training, or the base under the adapter",
            )
        held = {index for event in saves for index in event["held"]}
        trained = [i for i in model if model.trains[i] and model.holders(i)]
        absent = [i for i in trained if i not in held]
        if absent and len(absent) < len(trained):
            yield NotSaved(
                expected="every trained parameter in a file",
                seen=f"{count(len(absent), 'parameter')} in none of {count(len(saves), 'file')}",
                where=listed(map(model.name, absent)),
                cause="what is saved is a part of the model, or an adapter without what trains beside it",
                severity=Severity.ERROR if _split(model, absent, held) else Severity.WARNING,
            )


def _against(model: Model, save: Record) -> Record:
    """A save by a process that had a part of each parameter: which were written as the whole of them began."""
    prints = zip(save["held"], save.get("prints", ()), strict=False)
    begun = [i for i, print_ in prints if print_ == model.first[i] != model.last[i] and model.trains[i]]
    return {**save, "as_begun": [*save["as_begun"], *begun]}


def _only_begun(event: Record, saves: list[Record]) -> list[int]:
    """Parameters that are saved as before training, and by then as trained in no other file: what a model began as may
    be kept beside what it became."""
    trained = {
        index for one in saves if one["steps"] >= event["steps"] for index in {*one["held"]} - {*one["as_begun"]}
    }
    return [index for index in event["as_begun"] if index not in trained]


def _last_of_each(saves: list[Record]) -> list[Record]:
    """Of each file what was written to it last; what training had not begun yet could not hold."""
    return [event for event in {event["file"]: event for event in saves}.values() if event["steps"]]


def _split(model: Model, absent: list[int], held: set[int]) -> bool:
    """Whether a part of the model is saved in part: one that is left out whole may be meant to be."""
    return bool({model.part(i) for i in absent} & {model.part(i) for i in held})
