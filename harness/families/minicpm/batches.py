"""From a conversation to MiniCPM-V's inputs and labels, one sample at a time, and from those to a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from harness.data import Sample, decoded_images
from harness.data.sample import MARKER
from harness.families.budget import refuse_too_long
from harness.families.minicpm import tokens
from harness.families.supervision import IGNORED_LABEL, Answer, Piece, labels_for

if TYPE_CHECKING:
    import torch
    from PIL import Image


def pieces_of(sample: Sample) -> list[Piece]:
    """The training template's text of a sample, cut where supervision begins and ends; a mark for every picture."""
    pieces = [Piece(tokens.BEGIN, supervised=False)]
    for turn in sample.turns:
        header = f"{tokens.HEADER}{turn.speaker}{tokens.HEADER_END}\n\n"
        said = f"{turn.text.replace(MARKER, tokens.PICTURE).strip()}{tokens.TURN_END}"
        pieces += [Piece(header, supervised=False), Piece(said, supervised=turn.speaker == "assistant")]
    return pieces


def answers_of(sample: Sample) -> list[Answer]:
    """What is learned, as text: each answer and the end of its turn, and that end once more where a turn follows."""
    said = [f"{turn.text.strip()}{tokens.TURN_END}" for turn in sample.turns if turn.speaker == "assistant"]
    return [*(Answer(text, more=tokens.TURN_END) for text in said[:-1]), *(Answer(text) for text in said[-1:])]


def encode(sample: Sample, processor: Any, max_length: int) -> dict[str, Any]:
    """One sample as model inputs; see Family.encode."""
    import torch

    images = decoded_images(sample)
    pieces = pieces_of(sample)
    inputs = processor(text=["".join(piece.text for piece in pieces)], images=images or None, return_tensors="pt")
    ids = inputs["input_ids"][0].tolist()
    bounds = inputs["image_bound"][0]
    refuse_too_long(sample.id, len(ids), int((bounds[:, 1] - bounds[:, 0]).sum()), max_length)
    own = labels_for(list(_expanded(pieces, images, processor)), ids, processor.tokenizer, sample.id)
    return {
        "input_ids": inputs["input_ids"][0],
        "position_ids": inputs["position_ids"][0],
        "labels": torch.tensor(shifted(own, processor.tokenizer.eot_id)),
        "image_bound": bounds,
        "pixel_values": inputs["pixel_values"][0],
        "tgt_sizes": inputs["tgt_sizes"][0],
    }


def shifted(labels: Sequence[int], turn_end: int) -> list[int]:
    """What each position should answer with: the label of the next one, and nothing after the last.

    Where an answer is over and the user's turn begins, that is once more the end of the turn.
    """
    over = ((here != IGNORED_LABEL and then == IGNORED_LABEL, then) for here, then in pairwise(labels))
    return [*(turn_end if ended else then for ended, then in over), IGNORED_LABEL]


def collate(encoded: list[dict[str, Any]], processor: Any) -> dict[str, Any]:
    """A batch padded on the right. What belongs to pictures stays in lists, one entry for each sample."""
    import torch

    def padded(name: str, value: int) -> torch.Tensor:
        rows = [one[name] for one in encoded]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)

    lengths = torch.tensor([len(one["input_ids"]) for one in encoded])
    ids = padded("input_ids", processor.tokenizer.pad_token_id)
    return {
        "input_ids": ids,
        "position_ids": padded("position_ids", 0),
        "attention_mask": (torch.arange(ids.shape[1]) < lengths[:, None]).long(),
        "labels": padded("labels", IGNORED_LABEL),
        **{name: [one[name] for one in encoded] for name in ("image_bound", "pixel_values", "tgt_sizes")},
    }


def image_places(batch: dict[str, Any], processor: Any) -> torch.Tensor:
    """Where the features of pictures are written, bool of shape (batch, length)."""
    import torch

    places = torch.zeros(batch["input_ids"].shape, dtype=torch.bool)
    for row, bounds in zip(places, batch["image_bound"], strict=True):
        for start, end in bounds.tolist():
            row[start:end] = True
    return places


def _expanded(pieces: list[Piece], images: list[Image.Image], processor: Any) -> Iterator[Piece]:
    """The pieces with what stands for each picture in place of its mark."""
    at = 0
    for piece in pieces:
        shown = piece.text.count(tokens.PICTURE)
        yield Piece(processor.expanded(piece.text, images[at : at + shown]), piece.supervised)
        at += shown
