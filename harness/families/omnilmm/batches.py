"""From a conversation to OmniLMM's inputs and labels, one sample at a time, and from those to a batch.

Answers are located by their tokens, as upstream does: what follows the tokens of "\\n<|assistant|>\\n" is learned, up
to those of "\\n<|user|>\\n". Upstream leaves a sample in which there are none without a label, with a warning; here it
is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.data import Sample, decoded_images
from harness.families.budget import refuse_too_long
from harness.families.omnilmm import tokens
from harness.families.supervision import IGNORED_LABEL, Answer, Piece
from harness.refusal import Refused

if TYPE_CHECKING:
    import torch


def pieces_of(sample: Sample) -> list[Piece]:
    """The prompt of a sample, cut where supervision begins and ends."""
    pieces: list[Piece] = []
    for number, turn in enumerate(sample.turns):
        pieces.append(Piece(("\n" if number else "") + tokens.ROLES[turn.speaker], supervised=False))
        pieces.append(Piece(turn.text.strip() + tokens.END, supervised=turn.speaker == "assistant"))
    return pieces


def answers_of(sample: Sample) -> list[Answer]:
    """What is learned, as text: each answer and the end of its turn."""
    return [Answer(turn.text.strip() + tokens.END) for turn in sample.turns if turn.speaker == "assistant"]


def encode(sample: Sample, processor: Any, max_length: int) -> dict[str, Any]:
    """One sample as model inputs; see Family.encode."""
    import torch

    images = decoded_images(sample)
    text = "".join(piece.text for piece in pieces_of(sample))
    inputs = processor(text=[text], images=images or None)
    ids = inputs["input_ids"][0].tolist()
    of_pictures = len(images) * (processor.image_processor.num_query + 2)
    refuse_too_long(sample.id, len(ids), of_pictures, max_length)
    encoded: dict[str, Any] = {
        "input_ids": torch.tensor(ids),
        "labels": torch.tensor(labels_of(ids, processor, sample)),
    }
    if images:
        encoded["pixel_values"] = inputs["pixel_values"]
    return encoded


def labels_of(ids: Sequence[int], processor: Any, sample: Sample) -> list[int]:
    """The ids of answers, found by the tokens before and after them, and -100 everywhere else."""
    answered, asked = (_tokens_of(text, processor.tokenizer) for text in (tokens.ANSWERED, tokens.ASKED))
    starts = [at + len(answered) for at in _found(answered, ids)]
    if not starts:
        raise Refused(
            f"sample {sample.id}: the tokens of {tokens.ANSWERED!r} are not in it: no token of it would be learned",
            do="check the template, and whether the tokenizer makes other tokens of it in front of an answer",
        )
    ends = [*_found(asked, ids), len(ids)]
    labels = [IGNORED_LABEL] * len(ids)
    for start in starts:
        end = next(end for end in ends if end >= start)
        labels[start:end] = ids[start:end]
    return labels


def _tokens_of(text: str, tokenizer: Any) -> list[int]:
    """The tokens of a text where it follows an end of turn: alone, it would begin with a blank of its own."""
    ids: list[int] = tokenizer(tokens.END + text, add_special_tokens=False)["input_ids"]
    return ids[1:]


def _found(wanted: Sequence[int], ids: Sequence[int]) -> list[int]:
    """Where the wanted tokens begin."""
    return [at for at in range(len(ids)) if list(ids[at : at + len(wanted)]) == list(wanted)]


def collate(encoded: list[dict[str, Any]], processor: Any) -> dict[str, torch.Tensor]:
    """A batch padded on the right, for the model stacks its rows. The end token pads too: the mask tells them apart."""
    import torch

    padded = torch.nn.utils.rnn.pad_sequence
    pad = processor.tokenizer.pad_token_id
    ids = padded([one["input_ids"] for one in encoded], batch_first=True, padding_value=pad)
    lengths = torch.tensor([len(one["input_ids"]) for one in encoded])
    batch = {
        "input_ids": ids,
        "attention_mask": (torch.arange(ids.shape[1]) < lengths[:, None]).long(),
        "labels": padded([one["labels"] for one in encoded], batch_first=True, padding_value=IGNORED_LABEL),
    }
    if pixels := [one["pixel_values"] for one in encoded if "pixel_values" in one]:
        batch["pixel_values"] = torch.cat(pixels)
    return batch


def image_places(batch: dict[str, Any], processor: Any) -> torch.Tensor:
    """Where image patches stand, bool of shape (batch, length)."""
    places: torch.Tensor = batch["input_ids"] == processor.tokenizer.convert_tokens_to_ids(tokens.PATCH)
    return places
