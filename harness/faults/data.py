"""Faults in what is learned and in what the model is given to learn it from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.faults.registry import fault
from harness.seams import Moment, Seam

IGNORED = -100


def _first(moment: Moment) -> bool:
    """The first micro-batch of the second step."""
    return moment.step == 1 and moment.micro == 0


def _with_labels(batch: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**batch, "labels": batch["labels"].clone(), **changes}


def _learned_in_first_row(batch: dict[str, Any]) -> Any:
    """The places of the labels that count, in the first row."""
    return (batch["labels"][0] != IGNORED).nonzero().flatten()


@fault(Seam.BATCH, caught_by="labels_say_the_answers", finding="ExtraLabels", size="one label of one row")
def one_token_of_the_user_learned(batch: dict[str, Any], moment: Moment) -> Any:
    """In one row, the last token before the answer is learned too."""
    if not _first(moment):
        return batch
    altered = _with_labels(batch)
    at = int(_learned_in_first_row(batch)[0]) - 1
    altered["labels"][0, at] = batch["input_ids"][0, at]
    return altered


@fault(Seam.BATCH, caught_by="labels_say_the_answers", finding="ExtraLabels", size="one label of one row")
def one_token_of_padding_learned(batch: dict[str, Any], moment: Moment) -> Any:
    """In one row, the first token of its padding is learned."""
    lengths = batch["attention_mask"].sum(1)
    row = int(lengths.argmin())
    if not bool(lengths[row] < batch["labels"].shape[1]) or moment.step > 1:
        return batch
    altered = _with_labels(batch)
    altered["labels"][row, int(lengths[row])] = 0
    return altered


@fault(Seam.BATCH, caught_by="labels_say_the_answers", finding="MissingLabels", size="one label of one row")
def one_end_token_not_learned(batch: dict[str, Any], moment: Moment) -> Any:
    """In one row, the end token of the last answer is masked."""
    if not _first(moment):
        return batch
    altered = _with_labels(batch)
    altered["labels"][0, int(_learned_in_first_row(batch)[-1])] = IGNORED
    return altered


@fault(Seam.BATCH, caught_by="labels_say_the_answers", finding="LabelsMisplaced", size="one place in one row")
def labels_of_one_row_off_by_one(batch: dict[str, Any], moment: Moment) -> Any:
    """In one row, every label stands one place too early."""
    if not _first(moment):
        return batch
    altered = _with_labels(batch)
    altered["labels"][0] = batch["labels"][0].roll(-1)
    return altered


@fault(Seam.BATCH, caught_by="labels_say_the_answers", finding="LabelsAltered", size="one label of one row")
def one_label_exchanged(batch: dict[str, Any], moment: Moment) -> Any:
    """In one row, the first label asks for the token after the one that stands there."""
    if not _first(moment):
        return batch
    altered = _with_labels(batch)
    altered["labels"][0, int(_learned_in_first_row(batch)[0])] += 1
    return altered


@fault(
    Seam.BASE_WRITTEN,
    caught_by="labels_say_the_answers",
    finding="LearnedTextDiffers",
    size="one rule of the tokenizer",
)
def tokenizer_drops_capitals(base: Path, moment: Moment) -> None:
    """The base's tokenizer makes every letter small: the model is asked to learn another text than the answers."""
    path = base / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    rules = [one for one in (tokenizer["normalizer"],) if one]
    tokenizer["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, *rules]}
    path.write_text(json.dumps(tokenizer), encoding="utf-8")
