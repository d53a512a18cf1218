"""From a conversation to LLaVA-1.5's inputs and labels, one sample at a time, and from those to a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness import stack
from harness.data import Sample, decoded_images
from harness.families.budget import refuse_too_long
from harness.families.supervision import IGNORED_LABEL, Answer, Piece, labels_for
from harness.families.templates import Template

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TemplateBatches:
    """How the model is fed under one template."""

    template: Template

    def pieces_of(self, sample: Sample) -> list[Piece]:
        return self.template.pieces(sample)

    def answers_of(self, sample: Sample) -> list[Answer]:
        return self.template.answers(sample)

    def encode(self, sample: Sample, processor: Any, max_length: int) -> dict[str, Any]:
        """One sample as model inputs; see Family.encode."""
        import torch

        images = decoded_images(sample)
        pieces = self.pieces_of(sample)
        text = "".join(piece.text for piece in pieces)
        inputs = processor(text=[text], images=images or None, return_tensors="pt")
        ids = inputs["input_ids"][0].tolist()
        tokens = ids.count(stack.image_token_id(processor))
        refuse_too_long(sample.id, len(ids), tokens, max_length)
        expanded = _expanded(pieces, tokens, len(images), processor.image_token)
        labels = labels_for(expanded, ids, processor.tokenizer, sample.id)
        encoded: dict[str, Any] = {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels)}
        if images:
            encoded["pixel_values"] = inputs["pixel_values"]
        return encoded

    def collate(self, encoded: list[dict[str, Any]], processor: Any) -> dict[str, torch.Tensor]:
        """A batch padded on the right."""
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

    def image_places(self, batch: dict[str, Any], processor: Any) -> torch.Tensor:
        """Where image tokens stand, bool of shape (batch, length)."""
        places: torch.Tensor = batch["input_ids"] == stack.image_token_id(processor)
        return places


def _expanded(pieces: list[Piece], tokens: int, images: int, marker: str) -> list[Piece]:
    """The pieces with each image marker as often as the processor repeated it."""
    if not images:
        return pieces
    return [Piece(p.text.replace(marker, marker * (tokens // images)), p.supervised) for p in pieces]
