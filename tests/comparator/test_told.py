"""What is said of values that differ: which, of which component, how far apart, and what only one of the two has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.comparator import compare
from harness.trace.reader import Trace
from tests.comparator.conftest import altered, at, logits, values, write_arrays

Make = Callable[[], Trace]
CONNECTOR = "final values at connector.weight (connector)"


@pytest.mark.parametrize(
    ("connector", "said"),
    [
        (
            np.array([[2, 3], [4.5, 5]], np.float32),
            "different: 4 at element 2 and 4.5 at element 2, off by 0.5 (0.1 of the larger)",
        ),
        (np.array([[2], [3], [4], [5]], np.float32), "other shape: shape [2, 2] and shape [4, 1]"),
        (np.array([[2, np.inf], [np.nan, -np.inf]], np.float32), "not finite: 0 not finite and 3 not finite"),
        (None, "missing: values of shape [2, 2] and not seen"),
    ],
    ids=["another element", "another shape", "elements lost", "nothing"],
)
def test_a_parameters_values_that_differ(recorded: Make, connector: Any, said: str) -> None:
    def alter(trace: Trace) -> None:
        last = {**values(), "last/1": connector}
        write_arrays(trace, {name: value for name, value in last.items() if value is not None}, logits())

    assert [str(difference) for difference in altered(recorded, alter).differences] == [f"{CONNECTOR}: {said}"]


@pytest.mark.parametrize(
    ("peak", "said"),
    [(2.5, "different: 2 and 2.5, off by 0.5 (0.2 of the larger)"), ("inf", "not finite: 2 and inf")],
)
def test_a_number_of_a_parameter_that_differs(recorded: Make, peak: Any, said: str) -> None:
    def alter(trace: Trace) -> None:
        at(trace, "optimizer_step", 1)["values"]["model0"]["peak"][0] = peak

    (found,) = altered(recorded, alter).differences
    assert str(found) == f"weights' peak at step 1, micro-batch 0, vision.weight (vision): {said}"


def test_two_numbers_at_either_end_of_fp32_are_a_finite_distance_apart(recorded: Make) -> None:
    one, other = recorded(), recorded()
    for trace, end in ((one, 3e38), (other, -3e38)):
        write_arrays(trace, values(), np.array([[end, 1.0]], np.float32))

    (found,) = compare(one, other).differences
    assert (found.absolute, found.relative) == (pytest.approx(6e38), 2.0)
