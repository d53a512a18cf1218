"""The first version of a library that diverges from an older one, by halves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from harness.refusal import Refused

Found = TypeVar("Found")


class Unavailable(Exception):
    """A version that cannot be tried here: it cannot be installed, say."""


@dataclass(frozen=True)
class Bisection:
    """What came of it: versions from one that agrees to the next that does not, and how it diverges.

    Without `bad`, both ends agree. `skipped` are versions that could not be tried, with the reason; where they lie
    between `good` and `bad`, it may be any of them.
    """

    versions: tuple[str, ...]
    tried: tuple[str, ...]
    good: str
    bad: str | None = None
    found: object = None
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def between(self) -> tuple[str, ...]:
        """The versions that may be the first as well, for they could not be tried."""
        if self.bad is None:
            return ()
        return self.versions[self.versions.index(self.good) + 1 : self.versions.index(self.bad)]


def bisect(versions: Sequence[str], diverges: Callable[[str], Found | None]) -> Bisection:
    """Find the first of the versions, oldest first, that diverges from the oldest.

    `diverges` is asked of every version but the oldest; it gives what it found, None where all agrees, and raises
    Unavailable. What diverges in one version is taken to diverge in all later ones: that is what halving is.
    """
    if len(versions) < 2:
        what = f"there is {versions[0]} alone" if versions else "there is no released version"
        raise Refused(f"{what} in that range", do="name a wider one, like transformers==4.51..4.57")
    tried: list[str] = []
    skipped: dict[str, str] = {}

    def ask(version: str) -> Found | None:
        try:
            answer = diverges(version)
        except Unavailable as error:
            skipped[version] = str(error)
            raise
        tried.append(version)
        return answer

    good, bad, found = 0, len(versions) - 1, None
    while bad > good:
        try:
            found = ask(versions[bad])
            break
        except Unavailable:
            bad -= 1
    if bad == good:
        raise Refused(f"of {versions[0]} to {versions[-1]} none but the first can be had: {skipped[versions[-1]]}")
    if found is None:
        return Bisection(tuple(versions), tuple(tried), versions[bad], skipped=skipped)
    while middle := _middle(good, bad, [version in skipped for version in versions]):
        try:
            answer = ask(versions[middle])
        except Unavailable:
            continue
        if answer is None:
            good = middle
        else:
            bad, found = middle, answer
    return Bisection(tuple(versions), tuple(tried), versions[good], versions[bad], found, skipped)


def _middle(good: int, bad: int, skipped: Sequence[bool]) -> int:
    """The version nearest to the middle that can still be tried; 0 where there is none between."""
    left = [number for number in range(good + 1, bad) if not skipped[number]]
    return min(left, key=lambda number: abs(2 * number - good - bad), default=0)
