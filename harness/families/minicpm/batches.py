"""From a conversation to MiniCPM-V's inputs and labels, one sample at a time, and from those to a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from harness.data import Sample, decoded_images
from harness.families.budget import refuse_too_long
from harness.families.minicpm import tokens
from harness.families.minicpm.templates import LLAMA3, Template
from harness.families.supervision import IGNORED_LABEL, Answer, Piece, labels_for

if TYPE_CHECKING:
    import torch
    from PIL import Image


@dataclass(frozen=True)
class MiniCPMBatches:
    """What the training script makes of conversations under one of its templates."""

    template: Template = LLAMA3

    def pieces_of(self, sample: Sample) -> list[Piece]:
        """The training template's text, cut where supervision begins and ends; a mark for every picture."""
        return self.template.pieces_of(sample)

    def answers_of(self, sample: Sample) -> list[Answer]:
        """What is learned, as text."""
        return self.template.answers_of(sample)

    def encode(self, sample: Sample, processor: Any, max_length: int) -> dict[str, Any]:
        """One sample as model inputs; see Family.encode."""
        import torch

        images = decoded_images(sample)
        marked = self.pieces_of(sample)
        numbers = _numbers(images, processor.image_processor)
        text = "".join(piece.text for piece in marked)
        inputs = processor(text=[text], images=images or None, numbers=numbers, return_tensors="pt")
        pieces = list(_expanded(marked, images, numbers, processor))
        if self.template.piecewise:
            ids, own = _each_piece(pieces, processor.tokenizer)
        else:
            ids = inputs["input_ids"][0].tolist()
            own = labels_for(pieces, ids, processor.tokenizer, sample.id)
        bounds = processor.image_bound(torch.tensor(ids))
        refuse_too_long(sample.id, len(ids), int((bounds[:, 1] - bounds[:, 0]).sum()), max_length)
        return {
            "input_ids": torch.tensor(ids),
            "position_ids": torch.arange(len(ids)),
            "labels": torch.tensor(shifted(own, self.template.turn_end(processor.tokenizer))),
            "image_bound": bounds,
            "pixel_values": inputs["pixel_values"][0],
            "tgt_sizes": inputs["tgt_sizes"][0],
        }

    def collate(self, encoded: list[dict[str, Any]], processor: Any) -> dict[str, Any]:
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

    def image_places(self, batch: dict[str, Any], processor: Any) -> torch.Tensor:
        """Where the features of pictures are written, bool of shape (batch, length)."""
        import torch

        places = torch.zeros(batch["input_ids"].shape, dtype=torch.bool)
        for row, bounds in zip(places, batch["image_bound"], strict=True):
            for start, end in bounds.tolist():
                row[start:end] = True
        return places


def _each_piece(pieces: list[Piece], tokenizer: Any) -> tuple[list[int], list[int]]:
    """Ids and own labels of pieces that are tokenized one by one, without a begin token."""
    ids: list[int] = []
    labels: list[int] = []
    for piece in pieces:
        found = tokenizer(piece.text, add_special_tokens=False)["input_ids"]
        ids += found
        labels += found if piece.supervised else [IGNORED_LABEL] * len(found)
    return ids, labels


def shifted(labels: Sequence[int], turn_end: int) -> list[int]:
    """What each position should answer with: the label of the next one, and nothing after the last.

    Where an answer is over and the user's turn begins, that is once more the end of the turn.
    """
    over = ((here != IGNORED_LABEL and then == IGNORED_LABEL, then) for here, then in pairwise(labels))
    return [*(turn_end if ended else then for ended, then in over), IGNORED_LABEL]


def _numbers(images: list[Image.Image], image_processor: Any) -> list[int | None]:
    """The numbers of pictures in training: of those alone that are cut, where the model numbers pictures at all."""
    numbers: list[int | None] = []
    counted = 0
    for image in images:
        cut = image_processor.use_image_id and image_processor.grid(image.size) is not None
        numbers.append(counted if cut else None)
        counted += cut
    return numbers


def _expanded(
    pieces: list[Piece], images: list[Image.Image], numbers: list[int | None], processor: Any
) -> Iterator[Piece]:
    """The pieces with what stands for each picture in place of its mark."""
    at = 0
    for piece in pieces:
        shown = slice(at, at + piece.text.count(tokens.PICTURE))
        yield Piece(processor.expanded(piece.text, images[shown], numbers[shown]), piece.supervised)
        at = shown.stop
