"""LLaVA over a language model whose output layer shares the embeddings' tensor, as small ones do."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.families.llava import Llava
from harness.families.llava.dimensions import PUBLISHED_7B, Dimensions


@dataclass(frozen=True)
class Tied(Llava):
    """A LLaVA with tied embeddings."""

    def dimensions(self, size: str) -> Dimensions:
        return replace(super().dimensions(size), tied=True)


TIED = Tied("llava-tied", PUBLISHED_7B)
