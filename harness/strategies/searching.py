"""Looks for something drawn that breaks a property, batch by batch: the same batches for the same seed."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import hypothesis
from hypothesis import HealthCheck, Phase

if TYPE_CHECKING:
    from harness.strategies.drawing import Drawing
    from harness.strategies.properties import Drawn, Property

BATCH = 10  # examples of one seed: time is looked at between batches, and what a batch draws never depends on time
SHRINKS = 60  # runs at the most to find a smaller one than the first that breaks a property
OF_A_SEED = 1_000_003  # batches of one seed lie apart from those of the next


class Violated(AssertionError):
    """A property does not hold."""


@dataclass(frozen=True)
class Found:
    """The smallest that breaks a property, and how."""

    property: str
    drawn: Drawn
    how: str


@dataclass(frozen=True)
class Batch:
    """What became of one batch: how many examples were tried, a digest of them all in order, and what was found."""

    number: int
    tried: int
    found: Found | None
    digest: str = ""


def batch_of(
    searched: Property, drawing: Drawing, seed: int, number: int, examples: int = BATCH, shrinks: int = SHRINKS
) -> Batch:
    """Try one batch of a seed. What breaks the property is shrunk to the smallest that does, in so many runs."""
    known: dict[str, str] = {}  # what has been tried, and how it broke the property
    digest = hashlib.sha256()
    last: list[Found] = []
    before_shrinking = 0

    def how_broken(drawn: Drawn) -> str:
        """Hypothesis asks again what it knows, and shrinks without an end that we could wait for."""
        nonlocal before_shrinking
        if drawn.text not in known and (not last or len(known) < before_shrinking + shrinks):
            known[drawn.text] = searched.broken_by(drawn)
            digest.update(drawn.text.encode())
            before_shrinking = before_shrinking if last else len(known)
        return known.get(drawn.text, "")

    @hypothesis.seed(seed * OF_A_SEED + number)
    @hypothesis.settings(
        max_examples=examples,
        database=None,  # nothing that an earlier search has found: a search is its seed's alone
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @hypothesis.given(searched.strategy(drawing))
    def holds(drawn: Drawn) -> None:
        if how := how_broken(drawn):
            last.append(Found(searched.name, drawn, how))
            raise Violated(how)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Hypothesis's own, of how it is called
            holds()
    except Violated:
        return Batch(number, len(known), last[-1], digest.hexdigest())
    return Batch(number, len(known), None, digest.hexdigest())
