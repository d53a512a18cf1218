"""How families are fed that learn conversations: the part of a family that its module of batches answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from harness.families.padding import padded
from harness.families.supervision import Answer, Piece

if TYPE_CHECKING:
    import torch

    from harness.data import Sample


class Batches(Protocol):
    """A module that turns conversations into a family's inputs; see Family for what each function gives."""

    def pieces_of(self, sample: Sample, /) -> list[Piece]: ...

    def answers_of(self, sample: Sample, /) -> list[Answer]: ...

    def encode(self, sample: Sample, processor: Any, max_length: int, /) -> dict[str, Any]: ...

    def collate(self, encoded: list[dict[str, Any]], processor: Any, /) -> dict[str, Any]: ...

    def image_places(self, batch: dict[str, Any], processor: Any, /) -> torch.Tensor: ...


class FedConversations:
    """The feeding half of a family. Its processor has a tokenizer that names a pad token."""

    @property
    def fed_by(self) -> Batches:
        """The module, or the object, that answers."""
        raise NotImplementedError

    def prompt(self, sample: Sample) -> dict[str, Any]:
        return {
            "text": "".join(piece.text for piece in self.fed_by.pieces_of(sample)),
            "images": [str(path) for path in sample.images],
        }

    def answers(self, sample: Sample) -> list[Answer]:
        return self.fed_by.answers_of(sample)

    def encode(self, sample: Sample, processor: Any, max_length: int) -> dict[str, Any]:
        return self.fed_by.encode(sample, processor, max_length)

    def collate(self, encoded: list[dict[str, Any]], processor: Any) -> dict[str, Any]:
        return self.fed_by.collate(encoded, processor)

    def image_places(self, batch: dict[str, Any], processor: Any) -> torch.Tensor:
        return self.fed_by.image_places(batch, processor)

    def padded(self, batch: dict[str, Any], side: str, count: int, processor: Any) -> dict[str, Any]:
        return padded(batch, side, count, processor.tokenizer.pad_token_id)


class TakesBatchesAsTheyAre:
    """The part of a family whose model is one of the library's own: a batch is what its forward takes."""

    def arguments(self, batch: dict[str, Any]) -> dict[str, Any]:
        return batch

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        loss: torch.Tensor = model(**batch, use_cache=False).loss
        return loss

    def generation(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in batch.items() if name != "labels"}
