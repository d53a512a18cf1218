"""What a directory was meant to hold: what it was not asked for cannot be missing from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checkpoint.missing import PREPROCESSING
from harness.checkpoint.roles import (
    CHAT_TEMPLATE,
    IMAGE_PROCESSOR,
    PROCESSOR,
    SPECIAL_TOKENS,
    TOKENIZER,
    TOKENIZER_CONFIGURATION,
)

if TYPE_CHECKING:
    from harness.intent import SaveIntent  # pydantic takes longer to import than a directory to judge

KINDS = (
    "full",
    "partial",
    "projector",
    "adapter",
    "adapter and trainables",
    "native",
    "native adapter",
    "processing",
)
"""`processing` is tokenizer and processor alone, `native` a state dict of torch's."""


@dataclass(frozen=True)
class Meant:
    """The kind of save, where the files are not to be asked; keys (regular expressions) and roles that are left out."""

    kind: str | None = None
    left_out: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()

    @classmethod
    def to_be(cls, kind: str) -> Meant:
        """Of this kind and nothing more: what prepares the inputs is asked for of whole models alone."""
        return cls(kind, without=frozenset() if kind in ("full", "processing") else frozenset(PREPROCESSING))

    @classmethod
    def by(cls, save: SaveIntent) -> Meant:
        """As an intent promises it."""
        kind: str = save.what
        if save.own_format:
            kind = "native adapter"
        elif save.beside_adapter:
            kind = "adapter and trainables"
        without: set[str] = set() if save.processor_class else {PROCESSOR, IMAGE_PROCESSOR, CHAT_TEMPLATE}
        if not save.tokenizer:
            without |= {TOKENIZER, TOKENIZER_CONFIGURATION, SPECIAL_TOKENS, CHAT_TEMPLATE}
        return cls(kind, tuple(save.left_out), frozenset(without))
