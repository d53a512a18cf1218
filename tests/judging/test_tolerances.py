"""Tolerances in numbers worked out by hand, and rules in words."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.adapter_ranks import last_values
from harness.checks.clipping import tolerance
from harness.checks.precision_seen import compute_dtype
from harness.checks.scaler_rules import rules_that_fit
from harness.intent import Intent


@pytest.mark.parametrize(("limit", "added"), [(1.0, 1e-6), (0.25, 4e-6), (8.0, 1.25e-7)])
def test_a_clipped_norm_may_be_off_by_what_is_added_to_it_what_recording_rounds_and_four_roundings(
    limit: float, added: float
) -> None:
    assert tolerance(Intent(weights="float32"), limit) == pytest.approx(added + 2.0**-14 + 2.0**-22, rel=1e-12)
    assert tolerance(Intent(weights="bfloat16"), limit) == pytest.approx(added + 2.0**-14 + 2.0**-6, rel=1e-12)


def test_where_no_last_values_were_recorded_none_are_known(evidence: Any) -> None:
    evidence.drop("final")

    assert last_values(evidence.trace()) == {}


def test_where_no_dtypes_were_recorded_full_precision_is_taken(evidence: Any) -> None:
    evidence.one("forward").pop("dtypes")

    assert compute_dtype(evidence.trace()) == "float32"


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ([("float16", True)], "dtype == float16, the right one; dtype in (float16, bfloat16); dtype == dtype, which"),
        ([("float32", True), ("float16", False)], "none that is known"),
        ([("float16", False)], "off by default"),
    ],
)
def test_the_rules_that_fit_are_named(seen: list[tuple[str, bool]], said: str) -> None:
    assert rules_that_fit(seen).startswith(said)
