"""From a conversation to Mini-Gemini's inputs and labels, one sample at a time, and from those to a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.data import Sample, decoded_images
from harness.data.sample import MARKER
from harness.families.budget import refuse_too_long
from harness.families.mini_gemini.refusals import refuse_several
from harness.families.mini_gemini.templates import Template
from harness.families.supervision import IGNORED_LABEL, Answer, Piece, labels_for
from harness.families.templates import Template as Shared
from harness.refusal import Refused

if TYPE_CHECKING:
    import torch

IMAGE_TOKEN_INDEX = -200


@dataclass(frozen=True)
class TemplateBatches:
    """How one version of the template feeds the model."""

    template: Template | Shared

    def pieces_of(self, sample: Sample, /) -> list[Piece]:
        return self.template.pieces(sample)

    def answers_of(self, sample: Sample, /) -> list[Answer]:
        return self.template.answers(sample)

    def encode(self, sample: Sample, processor: Any, max_length: int, /) -> dict[str, Any]:
        """One sample as model inputs; see Family.encode. One without a picture comes with one of zeros."""
        import torch

        images = decoded_images(sample)
        if processor.image_processor.image_grid > 1:
            refuse_several(sample.id, len(images))
        pieces = self.pieces_of(sample)
        inputs = processor(text=["".join(piece.text for piece in pieces)], images=images or None)
        ids = inputs["input_ids"][0].tolist()
        refuse_too_long(sample.id, len(ids), ids.count(IMAGE_TOKEN_INDEX), max_length)
        return {
            "input_ids": inputs["input_ids"][0],
            "labels": torch.tensor(_labels(pieces, ids, processor, sample.id)),
            "pixel_values": inputs["pixel_values"],
            "pixel_values_aux": inputs["pixel_values_aux"],
        }

    def collate(self, encoded: list[dict[str, Any]], processor: Any, /) -> dict[str, Any]:
        """A batch padded on the right."""
        import torch

        padded = torch.nn.utils.rnn.pad_sequence
        pad = processor.tokenizer.pad_token_id
        ids = padded([one["input_ids"] for one in encoded], batch_first=True, padding_value=pad)
        lengths = torch.tensor([len(one["input_ids"]) for one in encoded])
        return {
            "input_ids": ids,
            "attention_mask": (torch.arange(ids.shape[1]) < lengths[:, None]).long(),
            "labels": padded([one["labels"] for one in encoded], batch_first=True, padding_value=IGNORED_LABEL),
            **{name: torch.cat([one[name] for one in encoded]) for name in ("pixel_values", "pixel_values_aux")},
        }

    def image_places(self, batch: dict[str, Any], processor: Any, /) -> torch.Tensor:
        """Where places are held for features, bool of shape (batch, length)."""
        places: torch.Tensor = batch["input_ids"] == IMAGE_TOKEN_INDEX
        return places


def _labels(pieces: list[Piece], ids: list[int], processor: Any, sample_id: str) -> list[int]:
    """The labels of a prompt that was encoded part by part, none for the places of pictures."""
    labels: list[int] = []
    for number, part in enumerate(_parts(pieces)):
        if number:
            labels += [IGNORED_LABEL] * processor.image_processor.tokens_of_a_picture
        text = "".join(piece.text for piece in part)
        own = list(processor.tokenizer(text)["input_ids"])
        kept = len(processor.ids_of(text, first=number == 0))
        learned = labels_for(part, own, processor.tokenizer, sample_id)
        if own[len(own) - kept :] != ids[len(labels) : len(labels) + kept]:
            raise Refused(
                f"sample {sample_id}: the processor and the tokenizer disagree about its tokens",
                do="check the processor's count of image tokens and the tokenizer's special tokens",
            )
        labels += learned[len(learned) - kept :]
    return labels


def _parts(pieces: list[Piece]) -> list[list[Piece]]:
    """The pieces between the marks of pictures."""
    parts: list[list[Piece]] = [[]]
    for piece in pieces:
        first, *others = piece.text.split(MARKER)
        parts[-1].append(Piece(first, piece.supervised))
        parts += [[Piece(text, piece.supervised)] for text in others]
    return parts
