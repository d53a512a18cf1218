"""How far a run has come: which recipes are finished, and what a terminal shows of that as it goes on."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, TextIO

from harness.report.terminal import failure_block, recipe_line
from harness.report.text import one_line
from harness.verdict import outcome
from harness.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.result import Result

_ERASE_LINE = "\r\x1b[2K"


class Arrivals:
    """The results of a run as they arrive, by recipe, and the seconds that its runs took."""

    def __init__(self) -> None:
        self.results: dict[str, list[Result]] = {}
        self.seconds: dict[str, float] = {}
        self._expected: dict[str, int] = {}

    def expect(self, numbers: Mapping[str, int]) -> None:
        """How many results each recipe will have."""
        self._expected = dict(numbers)

    def add(self, result: Result, seconds: float) -> list[Result]:
        """Take one in. Returns all results of its recipe if it was the last that was missing."""
        self.seconds[result.recipe] = seconds
        of_recipe = self.results.setdefault(result.recipe, [])
        of_recipe.append(result)
        return of_recipe if len(of_recipe) == self._expected.get(result.recipe) else []

    @property
    def finished(self) -> dict[str, list[Result]]:
        """The results of each recipe that has all of them."""
        return {name: self.results[name] for name in self._expected if name not in self.unfinished}

    def number_of(self, recipe: str) -> int:
        """How many results of a recipe have arrived."""
        return len(self.results.get(recipe, ()))

    @property
    def total(self) -> int:
        return len(self._expected)

    @property
    def unfinished(self) -> tuple[str, ...]:
        return tuple(name for name, number in self._expected.items() if len(self.results.get(name, ())) < number)

    def all(self, *, finished_only: bool) -> list[Result]:
        """What has arrived; or, without any part of an unfinished recipe, what an interruption leaves."""
        left_out = self.unfinished if finished_only else ()
        return [result for name, results in self.results.items() if name not in left_out for result in results]


class Screen:
    """Writes each finished recipe with its failures and, on a terminal, which recipes are being worked at."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._on_terminal = file.isatty() and os.environ.get("TERM") != "dumb"
        self._colour = file.isatty() and "NO_COLOR" not in os.environ
        self._at_work: list[str] = []
        self.shown: set[str] = set()

    def begun(self, recipe: str, total: int) -> None:
        if recipe not in self._at_work:
            self._at_work.append(recipe)
            self._show(total)

    def finished(
        self,
        results: list[Result],
        seconds: float,
        total: int,
        again: Callable[[Result], str],
        *,
        strict: bool = False,
    ) -> None:
        recipe = results[0].recipe
        self._at_work = [one for one in self._at_work if one != recipe]
        lines = [recipe_line(recipe, results, seconds or None, colour=self._colour)]
        for result in results:
            if outcome(result, results, strict=strict) == "failed":
                lines += ["", failure_block(result, again(result), colour=self._colour), ""]
        self.erase()
        self._write("\n".join(lines) + "\n")
        self.shown.add(recipe)
        if self._at_work:
            self._show(total)

    def erase(self) -> None:
        if self._on_terminal:
            self._write(_ERASE_LINE)

    def _show(self, total: int) -> None:
        if self._on_terminal:
            running = ", ".join(map(one_line, self._at_work))
            text = f"{len(self.shown)} of {count(total, 'recipe')} done; running {running}"
            self._write(f"{_ERASE_LINE}{text[: shutil.get_terminal_size().columns - 1]}")

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()
