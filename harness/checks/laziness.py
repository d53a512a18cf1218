"""Samples that are encoded as steps come to them are those that were encoded before the first: to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from harness.checks.data_rows import micro_batches
from harness.checks.equivalence import AgreesWith
from harness.checks.needs import Closed, Forwards, Partner
from harness.checks.registry import check
from harness.result import Finding

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.recipe import Recipe
    from harness.trace.reader import Trace

GIVEN = {"samples": "tokens", "lengths": "lengths", "pixels": "pictures", "learned": "labels"}


class LazinessMatters(Finding):
    """A micro-batch that differs from the one that was made before the run began."""


def _eagerly(recipe: Recipe) -> dict[str, Any]:
    return {"data.lazy": False, "agrees_with": [], "save": {"what": "nothing"}}


@check(
    "what is encoded as a step comes to it is what would have been encoded before the first: tokens, labels, pictures",
    source="MGM #73, #116: what fails while a run is under way is replaced by another sample, or missing",
    needs=[Closed, Forwards, AgreesWith(other="eager"), Partner(name="eagerly", changes=_eagerly)],
)
def lazy_equals_eager(intent: Intent, trace: Trace, eagerly: Trace) -> Iterator[Finding]:
    for place, (late, early) in enumerate(zip_longest(micro_batches(trace), micro_batches(eagerly))):
        if late is None or early is None:
            expected, seen = "as many micro-batches as eagerly", "fewer" if late is None else "more"
        else:
            differing = [word for name, word in GIVEN.items() if late.get(name) != early.get(name)]
            if not differing:
                continue
            expected, seen = "the micro-batch as it is eagerly", f"other {', '.join(differing)}"
        yield LazinessMatters(
            expected=expected,
            seen=seen,
            where=f"micro-batch {place}",
            cause="encoding draws random numbers, changes what it keeps, or puts another sample in place of one that "
            "it cannot read",
            do="encode one sample twice, and let what cannot be read stop the run",
        )
        return
