"""Which tokens of a conversation are learned: the answers and their end token, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
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


@dataclass(frozen=True)
class Answer:
    """What is learned of one assistant turn, as text: what stands in the prompt, and what is learned once `more`."""

    text: str
    more: str = ""


@dataclass(frozen=True)
class ReadBack:
    """By answer: the text promised, what its labels decode to, and what stands where they point in the prompt."""

    promised: list[str]
    decoded: list[str]
    in_place: list[str]

    def digests(self) -> dict[str, list[str]]:
        """Each text as a digest: a trace keeps no text."""
        return {name: [_digest(text) for text in texts] for name, texts in vars(self).items()}


def read_back(ids: list[int], labels: list[int], answers: list[Answer], early: int, tokenizer: Any) -> ReadBack:
    """The supervised text of a sample, decoded: stretch by stretch of its labels, against its turns.

    Nothing that made the labels has a part in this: the answers come from the turns, and the tokenizer decodes. A label
    stands `early` places before the token it asks for.
    """
    stretches = _stretches(labels)
    promised = [answer.text + answer.more for answer in answers]
    decoded = [_decoded(labels[start:end], tokenizer) for start, end in stretches]
    at_hand = [_decoded(ids[start + early : end + early], tokenizer) for start, end in stretches]
    in_place = [text[: len(one.text)] + one.more if one.more else text for text, one in zip(at_hand, answers)]  # noqa: B905
    return ReadBack(promised, decoded, in_place)


def _stretches(labels: list[int]) -> list[tuple[int, int]]:
    """The ranges of labels that are learned."""
    edges = [
        at for at, (a, b) in enumerate(pairwise([IGNORED_LABEL, *labels, IGNORED_LABEL])) if _counts(a) != _counts(b)
    ]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _counts(label: int) -> bool:
    return label != IGNORED_LABEL


def _decoded(ids: list[int], tokenizer: Any) -> str:
    text: str = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
