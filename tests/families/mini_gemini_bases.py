"""Tiny base directories of Mini-Gemini, written once each, with its code files run from a cache of the tests' own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class MiniGeminis:
    """Families by member; directories and what is loaded from them, made when they are first asked for."""

    folder: Path
    _loaded: dict[str, Any] = field(default_factory=dict)

    def family(self, member: str) -> Any:
        from harness.families import family

        return family(f"mini-gemini-{member}")

    def base(self, member: str) -> Path:
        directory = self.folder / member.replace("-", "_")
        if not directory.exists():
            directory.mkdir()
            self.family(member).write_base(directory)
        return directory

    def fresh(self, member: str) -> Any:
        """A model of the tests' own to train, and its processor."""
        import torch

        return self.family(member).load(self.base(member), torch.float32)

    def loaded(self, member: str) -> Any:
        """A model that is looked at and left as it is."""
        if member not in self._loaded:
            self._loaded[member] = self.fresh(member)
        return self._loaded[member]

    def batch(self, member: str, *kinds: str) -> dict[str, Any]:
        """A collated batch of the first shipped samples of these kinds."""
        from harness.data import SHIPPED, read_samples, select

        chosen, processor = self.family(member), self.loaded(member).processor
        shipped = read_samples(SHIPPED)
        samples = [select(shipped, (kind,), 1)[0] for kind in kinds]
        batch: dict[str, Any] = chosen.collate([chosen.encode(one, processor, 2048) for one in samples], processor)
        return batch
