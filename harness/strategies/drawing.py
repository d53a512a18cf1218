"""What a search draws from: families, and who trains them how."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.strategies.valid import ALONE, FAMILIES, recipes

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from harness.recipe import Recipe


@dataclass(frozen=True)
class Drawing:
    """The arguments of `recipes`, for processes to be told."""

    families: tuple[str, ...] = FAMILIES
    engines: tuple[str, ...] = ("torch",)
    processes: tuple[int, ...] = (1,)
    launchers: tuple[str, ...] = ALONE
    interrupted: bool = True

    def recipes(self) -> SearchStrategy[Recipe]:
        return recipes(self.families, self.engines, self.processes, self.launchers, interrupted=self.interrupted)

    def of(self, family: str) -> Drawing:
        """The same of one family alone."""
        return replace(self, families=(family,))
