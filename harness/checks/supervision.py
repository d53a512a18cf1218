"""What is learned is what the samples' answers say: their text and its end token, in their places, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.checks.data_needs import LabelRows
from harness.checks.data_rows import micro_batches
from harness.checks.registry import check
from harness.result import Finding
from harness.wording import count

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class LearnedTextDiffers(Finding):
    """Labels that, decoded, are not the answers of their sample."""


class ExtraLabels(Finding):
    """Tokens that are learned and are part of no answer."""


class MissingLabels(Finding):
    """Tokens of an answer, or its end, that are not learned."""


class NothingLearned(Finding):
    """A sample with answers and not one label."""


class LabelsMisplaced(Finding):
    """Labels that stand elsewhere than those of the answers: some too many, others too few."""


class LabelsAltered(Finding):
    """Labels in the places of the answers that ask for other tokens."""


@dataclass(frozen=True)
class _Row:
    """One row of a micro-batch: what its labels were to be, and what they were."""

    where: str
    sample: str
    promised: dict[str, Any]
    fingerprint: str
    stretches: list[list[int]]


@check(
    "what is learned of a sample are its answers and their end, as text, and nothing else",
    source="MGM, one commit: preprocess_llama_3 was off by one; MiniMind #266: labels one token too early or too late",
    needs=[LabelRows],
)
def labels_say_the_answers(intent: Intent, trace: Trace) -> Iterator[Finding]:
    yield from _of_text(trace.of("data")[0])
    found = [finding for row in _rows(trace) if (finding := _of_row(row))]
    for kind in dict.fromkeys(type(finding) for finding in found):
        first, *others = [finding for finding in found if type(finding) is kind]
        more = f", and so in {count(len(others), 'more row')}" if others else ""
        yield replace(first, seen=first.seen + more)


def _of_text(data: dict[str, Any]) -> Iterator[Finding]:
    """The first sample whose labels do not decode to its answers, or do not point to where these stand."""
    samples = {name: one for names, rows in zip(data["samples"], data["learned"], strict=True)
               for name, one in zip(names, rows, strict=True)}  # fmt: skip
    wrong = [(name, said) for name, one in samples.items() if (said := _text_differs(one["text"]))]
    for name, said in wrong[:1]:
        yield LearnedTextDiffers(
            expected="labels that decode to the sample's answers, each with its end token",
            seen=said + (f", and {len(wrong) - 1} more samples differ" if len(wrong) > 1 else ""),
            where=f"sample {name}",
            cause="the labels are made by another template than the prompt, or the tokenizer loses text",
            do="decode the labels, and compare them with the answers",
        )


def _text_differs(text: dict[str, list[str]]) -> str:
    """In what way the text of a sample's labels is not what was promised; empty where it is."""
    promised, decoded, in_place = text["promised"], text["decoded"], text["in_place"]
    if len(decoded) != len(promised):
        return f"{count(len(decoded), 'group')} of labels for {count(len(promised), 'answer')}"
    for number, (should, was, stands) in enumerate(zip(promised, decoded, in_place, strict=True), start=1):
        if was != should:
            return f"the labels of answer {number} decode to another text"
        if stands != should:
            return f"the labels of answer {number} point to another text of the prompt"
    return ""


def _rows(trace: Trace) -> Iterator[_Row]:
    """Every row whose labels were seen, with what its sample promised; rows of unknown samples by their place."""
    data = trace.of("data")[0]
    known = {
        fingerprint: (name, learned)
        for columns in zip(data["fingerprints"], data["samples"], data["learned"], strict=True)
        for fingerprint, name, learned in zip(*columns, strict=True)
    }
    for place, micro in enumerate(micro_batches(trace)):
        learned = micro.get("learned")
        if learned is None or place >= len(data["samples"]):
            continue
        here = list(zip(data["samples"][place], data["learned"][place], strict=True))
        rows = zip(micro["samples"], learned["fingerprint"], learned["stretches"], strict=True)
        for row, (sample, fingerprint, stretches) in enumerate(rows):
            promise = known.get(sample) or (here[row] if row < len(here) else None)
            if promise:
                name, promised = promise
                yield _Row(f"micro-batch {place}, row {row}", f"sample {name}", promised, fingerprint, stretches)


def _of_row(row: _Row) -> Finding | None:
    should, were = _places(row.promised["stretches"]), _places(row.stretches)
    extra, missing = were - should, should - were
    expected = f"labels for the {count(len(should), 'token')} of the answers of {row.sample}"
    if extra and missing:
        seen = f"{len(extra)} too many, the first at token {min(extra)}, and {len(missing)} too few, the first at token"
        cause = "labels are shifted by another number of places than the loss expects, or come from another sample"
        return LabelsMisplaced(expected, f"{seen} {min(missing)}", row.where, cause)
    if extra:
        cause = "part of the prompt, a picture's tokens or padding is not masked"
        return ExtraLabels(expected, _some(extra, "too many"), row.where, cause)
    if missing and not were:
        cause = "its answers were not found, where labels are located by another template or tokenizer than the prompt "
        cause += "was made with: the whole sample is ignored"
        return NothingLearned(expected, "no label at all", row.where, cause)
    if missing:
        cause = "an answer, or the end token after it, is masked or was cut off"
        return MissingLabels(expected, _some(missing, "too few"), row.where, cause)
    if row.fingerprint != row.promised["fingerprint"]:
        cause = "labels were exchanged after they had been made"
        return LabelsAltered(expected, "labels in the same places, for other tokens", row.where, cause)
    return None


def _some(places: set[int], how: str) -> str:
    return f"{count(len(places), 'label')} {how}, the first at token {min(places)}"


def _places(stretches: list[list[int]]) -> set[int]:
    return {place for start, end in stretches for place in range(start, end)}
