"""One conversation, with the images it is about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from harness.recipe.fields import SampleKind

MARKER = "<image>"
DIGEST_BYTES = 16

Speaker = Literal["user", "assistant"]


@dataclass(frozen=True)
class Turn:
    """What one side says; `<image>` stands where an image goes."""

    speaker: Speaker
    text: str


@dataclass(frozen=True)
class Sample:
    """A conversation and its images, in the order of their markers.

    `blank` says that the only image has one colour throughout.
    """

    id: str
    turns: tuple[Turn, ...]
    images: tuple[Path, ...]
    blank: bool = False

    @property
    def kind(self) -> SampleKind:
        """The word by which a recipe's mix asks for this sample."""
        if not self.images:
            return "text"
        if len(self.images) > 1:
            return "several"
        return "blank" if self.blank else "image"

    def digest(self) -> str:
        """A hash of id, turns and image bytes; where the files lie does not enter."""
        images = [blake2b(image.read_bytes(), digest_size=DIGEST_BYTES).hexdigest() for image in self.images]
        content = [self.id, [[turn.speaker, turn.text] for turn in self.turns], images]
        return blake2b(json.dumps(content).encode("ascii"), digest_size=DIGEST_BYTES).hexdigest()
