"""Which tokens of a conversation are learned: the answers and their end token, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.refusal import Refused

IGNORED_LABEL = -100


@dataclass(frozen=True)
class Piece:
    """A stretch of prompt text, supervised or not."""

    text: str
    supervised: bool


def spans(pieces: list[Piece]) -> list[tuple[int, int]]:
    """The character ranges of the supervised pieces in the joined text."""
    found, at = [], 0
    for piece in pieces:
        if piece.supervised:
            found.append((at, at + len(piece.text)))
        at += len(piece.text)
    return found


def labels_for(pieces: list[Piece], ids: list[int], tokenizer: Any, sample_id: str) -> list[int]:
    """The ids with every token outside the supervised pieces replaced by -100.

    `ids` is what the processor made of the joined text. A token that lies across the edge of a supervised piece, or
    ids that differ from the tokenizer's own, would shift every label: such a sample is refused, never guessed at.
    """
    text = "".join(piece.text for piece in pieces)
    encoded = tokenizer(text, return_offsets_mapping=True)
    if list(encoded["input_ids"]) != ids:
        raise Refused(
            f"sample {sample_id}: the processor and the tokenizer disagree about its tokens",
            do="check the processor's image token count and the tokenizer's special tokens",
        )
    labels = [IGNORED_LABEL] * len(ids)
    for start, end in spans(pieces):
        for index, (first, last) in enumerate(encoded["offset_mapping"]):
            if first < end and last > start and first != last:
                if first < start or last > end:
                    raise Refused(
                        f"sample {sample_id}: a token crosses the edge of an answer at character {start}",
                        do="check the prompt template and the tokenizer",
                    )
                labels[index] = ids[index]
    return labels
