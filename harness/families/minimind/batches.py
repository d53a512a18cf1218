"""From a conversation to MiniMind's inputs and labels, one sample at a time, and from those to a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.data import Sample, decoded_images
from harness.data.sample import MARKER
from harness.families.budget import refuse_too_long
from harness.families.minimind.tokens import IMAGE, Chat
from harness.families.supervision import IGNORED_LABEL, Answer, Piece, labels_for
from harness.refusal import Refused

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ChatBatches:
    """How a generation is fed. `early`: labels are shifted before the model; `image_tokens` stand for a picture, and
    none for a family of text alone."""

    chat: Chat
    early: bool
    image_tokens: int = 0

    def pieces_of(self, sample: Sample) -> list[Piece]:
        """The chat's text of a sample, cut where supervision begins and ends: an answer, its end and the line's."""
        pieces: list[Piece] = []
        for turn in sample.turns:
            said = f"{turn.text.replace(MARKER, IMAGE * self.image_tokens).strip()}{self.chat.closed}"
            pieces += [
                Piece(self.chat.opened(turn.speaker), supervised=False),
                Piece(said, supervised=turn.speaker == "assistant"),
            ]
        return pieces

    def answers_of(self, sample: Sample) -> list[Answer]:
        """What is learned, as text: each answer, the end of its turn and the line end after it."""
        said = (turn.text.strip() for turn in sample.turns if turn.speaker == "assistant")
        return [Answer(f"{text}{self.chat.closed}") for text in said]

    def encode(self, sample: Sample, processor: Any, max_length: int) -> dict[str, Any]:
        """One sample as model inputs; see Family.encode."""
        import torch

        images = decoded_images(sample)
        if images and not self.image_tokens:
            raise Refused(
                f"sample {sample.id} has {len(images)} pictures, and this model reads text alone",
                do="set data.mix: [text]",
            )
        pieces = self.pieces_of(sample)
        inputs = processor(text=["".join(piece.text for piece in pieces)], images=images or None, return_tensors="pt")
        ids = inputs["input_ids"][0].tolist()
        refuse_too_long(sample.id, len(ids), len(images) * self.image_tokens, max_length)
        labels = labels_for(pieces, ids, processor.tokenizer, sample.id)
        if self.early:
            labels = [*labels[1:], IGNORED_LABEL]
        encoded: dict[str, Any] = {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels)}
        if images:
            encoded["pixel_values"] = inputs["pixel_values"]
        return encoded

    def collate(self, encoded: list[dict[str, Any]], processor: Any) -> dict[str, Any]:
        """A batch padded on the right; its pictures one after the other, in the rows' order."""
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
        """Where image tokens stand, bool of shape (batch, length): nowhere for a family of text alone."""
        import torch

        if not self.image_tokens:
            return torch.zeros(batch["input_ids"].shape, dtype=torch.bool)
        places: torch.Tensor = batch["input_ids"] == processor.tokenizer.convert_tokens_to_ids(IMAGE)
        return places
