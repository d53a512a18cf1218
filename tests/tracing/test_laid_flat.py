"""What FullyShardedDataParallel lays flat over the processes is followed by the names and shapes that it had."""

from __future__ import annotations

from typing import Any

import pytest

from harness.trace.naming import unwrapped
from tests.tracing.conftest import Ran, with_each_defect

PLAIN = {"plain", "plain, tied", "plain, frozen"}
AS_PLAIN = {
    "laid flat": "plain",
    "by name": "plain",
    "per layer": "plain",
    "by name, per layer": "plain",
    "by name, per layer, frozen": "plain, frozen",
    "tied": "plain, tied",
    "by name, tied": "plain, tied",
    "by name, whole between": "plain",
    "whole": "plain",
    "whole, by name": "plain",
    "by name, optimizer first": "plain",
}
HEALTHY = (
    "in replicas",
    "in replicas, by name",
    "half",
    "by name, per layer, half",
    "accumulates",
    "by name, accumulates",
    "clips",
    "alone",
    "alone, by name",
    "saved",
    "by name, per layer, saved",
)
DEFECTS = {
    "optimizer first": ("optimizer_holds_trained_once", "MadeAfterOptimizer"),
    "by name, frozen, decays": ("frozen_stays", "FrozenStepped"),
    "not zeroed": ("gradients_fresh", "StaleGradients"),
    "by name, not zeroed": ("gradients_fresh", "StaleGradients"),
    "not all": ("replicas_agree", "ReplicasApart"),
    "by name, per layer, not all": ("replicas_agree", "GradientsApart"),
    "same data": ("processes_see_their_own_data", "SameData"),
    "saved as begun": ("trained_values_saved", "SavedAsBegun"),
    "by name, saved as begun": ("trained_values_saved", "SavedAsBegun"),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    words = [*sorted(PLAIN), *AS_PLAIN, *HEALTHY, *DEFECTS]
    return with_each_defect("laid_flat.py", tmp_path_factory.mktemp("laid_flat"), words)


def known(of: Ran) -> dict[str, tuple[Any, ...]]:
    """What is told of each parameter."""
    return {
        unwrapped(one.path): (one.shape, one.dtype, one.requires_grad, one.first, one.last, one.changed)
        for one in of.trace.parameters
    }


@pytest.mark.parametrize("name", AS_PLAIN)
def test_it_is_told_as_each_process_would_that_has_the_whole(ran: dict[str, Ran], name: str) -> None:
    parts, whole = known(ran[name]), known(ran[AS_PLAIN[name]])

    assert len(whole) == (6 if "tied" in name else 7)
    assert parts == whole, ran[name].printed


@pytest.mark.parametrize("name", [*AS_PLAIN, *HEALTHY])
def test_healthy_runs_are_silent(ran: dict[str, Ran], name: str) -> None:
    results = ran[name].results()

    assert not [one for one in results.values() if one.status.value not in ("passed", "not_applicable")]
    assert sum(one.status.value == "passed" for one in results.values()) >= 9


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found(ran: dict[str, Ran], name: str) -> None:
    check, kind = DEFECTS[name]
    results = ran[name].results()

    assert results[check].status.value == "failed", ran[name].printed
    assert kind in {finding.kind for finding in results[check].findings}
    assert results["run.completed"].status.value == "passed"


def test_a_stale_save_is_found_in_all_that_trained(ran: dict[str, Ran]) -> None:
    (finding,) = ran["saved as begun"].results()["trained_values_saved"].findings

    assert finding.seen == "7 parameters as before training"


def test_clipping_by_the_wrapper_is_recorded(ran: dict[str, Ran]) -> None:
    assert [event["max_norm"] for event in ran["clips"].trace.of("clip")] == [0.5] * 3
