"""What has moved from run to run: the time that a recipe takes, and the numbers it comes to. Pure functions."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.history.past import Numbers, PastRecipe, PastRun

SLOWER = 1.5  # times the median of the runs before: shared machines vary by less, measured over twenty gates
LEAST = 3  # runs before, of which a median says something
LEAST_SECONDS = 0.25  # under this a difference is the machine's
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Moved:
    """How the numbers of a recipe differ from those of the run before that had it; `why` may be the reason."""

    what: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.what}    {self.why}".rstrip()


@dataclass(frozen=True)
class Trend:
    """A recipe over runs, oldest first: its seconds in each, and how its numbers moved in the last, if they did."""

    recipe: str
    runs: tuple[PastRun, ...]
    past: tuple[PastRecipe, ...]
    moved: tuple[Moved | None, ...]  # as many as runs; None where they are as in the run before, or there was none

    @property
    def seconds(self) -> list[float]:
        return [one.seconds for one in self.past if one.seconds is not None]

    @property
    def median_before(self) -> float | None:
        """Of the runs before the last; None of too few to say anything."""
        before = self.seconds[:-1]
        return statistics.median(before) if len(before) >= LEAST else None

    @property
    def slower(self) -> bool:
        before = self.median_before
        now = self.seconds[-1] if self.seconds else 0.0
        return before is not None and now > SLOWER * before and now - before > LEAST_SECONDS

    @property
    def bars(self) -> str:
        """The seconds as a row of bars, the tallest the longest."""
        top = max(self.seconds, default=0.0)
        return "".join(_BARS[min(7, int(8 * one / top))] for one in self.seconds) if top else ""


def trends(runs: Sequence[PastRun]) -> list[Trend]:
    """The trend of each recipe that the runs have, by name."""
    names = sorted({one.recipe for run in runs for one in run.recipes})
    by_run = [{one.recipe: one for one in run.recipes} for run in runs]
    return [
        _trend(name, [(run, of[name]) for run, of in zip(runs, by_run, strict=True) if name in of]) for name in names
    ]


def _trend(name: str, seen: Sequence[tuple[PastRun, PastRecipe]]) -> Trend:
    moved = [None, *(_moved(*before, *after) for before, after in pairwise(seen))]
    return Trend(name, tuple(run for run, _ in seen), tuple(one for _, one in seen), tuple(moved))


def _moved(run: PastRun, one: PastRecipe, later: PastRun, other: PastRecipe) -> Moved | None:
    what = difference(one.numbers, other.numbers)
    return Moved(what, _why(run, one, later, other)) if what else None


def difference(one: Numbers, other: Numbers) -> str:
    """The first in which two trainings differ; nothing where they agree, or one of them was not seen to its end."""
    if len(one.losses) != len(other.losses):
        return f"{len(other.losses)} micro-batches, not {len(one.losses)}"
    for number, (before, now) in enumerate(zip(one.losses, other.losses, strict=True), start=1):
        if before != now:
            apart = f"by {abs(now - before):.1e}" if before is not None and now is not None else f"{before} to {now}"
            return f"loss of micro-batch {number} moved {apart}"
    if one.weights and other.weights and one.weights != other.weights:
        return "same losses, other weights"
    return ""


def _why(run: PastRun, one: PastRecipe, later: PastRun, other: PastRecipe) -> str:
    """What else is not as it was: the recipe, the libraries, the commit; nothing of these is an explanation too."""
    reasons = ["the recipe's settings"] if one.numbers.recipe != other.numbers.recipe else []
    reasons += list(changes(run, later))
    return f"with {', '.join(reasons)}" if reasons else "with nothing else changed"


def changes(run: PastRun, later: PastRun) -> Iterator[str]:
    """What changed around two runs, name by name."""
    for name in sorted({*run.environment, *later.environment}):
        before, now = run.environment.get(name, "none"), later.environment.get(name, "none")
        if before != now:
            yield f"{name} {before} → {now}"
    if run.commit != later.commit:
        yield f"commit {(run.commit or 'none')[:10]} → {(later.commit or 'none')[:10]}"
