"""A report shows the timed run beside a recipe's own against its budget, and nothing where it did not come so far."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.report.evidence import Evidence, Speed
from harness.report.html_figures import speed_text
from harness.report.traced import _beside
from tests.judging.pace_specimens import BARE, DEVICE, FLOPS, NOISE, RATE


def timed(trace: Path, asked: dict[str, Any], noise: tuple[float, ...] = NOISE) -> Path:
    """A run whose steps took twice as long as a bare loop's."""
    (trace / "rank-0").mkdir(parents=True)
    header = {"format": 1, "recipe_id": "mine", "recipe": {"budget": {"throughput": asked}}}
    (trace / "header.json").write_text(json.dumps(header))
    events = [{"kind": "closing", "steps": 3}, {"kind": "probe", "name": "operations", "flops": [FLOPS / 10] * 10}]
    (trace / "rank-0" / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
    run, bare = (
        {"seconds": [slower * BARE * one for one in noise], "matmul": [RATE] * (len(noise) + 1)} for slower in (2, 1)
    )
    pace = {"device": DEVICE, "torch": "2.13.0", "window": 10, "run": run, "bare": bare}
    (trace / "measured.json").write_text(json.dumps({"seconds": {}, "pace": pace}))
    return trace


FOUND = Evidence(speed=Speed(2.0, 4, 8))


@pytest.mark.parametrize(("asked", "least"), [({"of_bare": 0.65}, 0.65), ({}, 0.5)])
def test_speed_is_shown_against_its_budget(tmp_path: Path, asked: dict[str, Any], least: float) -> None:
    speed = _beside(FOUND, timed(tmp_path / "trace", asked)).speed

    assert speed is not None
    assert speed.of_bare == pytest.approx(0.5)
    assert speed.least == least
    assert speed_text(speed).endswith(f"50% of a bare loop's speed, of which {least:.0%} is the budget")
    assert (speed.steps_per_second, speed.samples_per_second) == (2, 4), "those of the recipe's own run"


def test_a_timed_run_that_came_not_so_far_shows_no_budget(tmp_path: Path) -> None:
    few = timed(tmp_path / "few", {}, noise=NOISE[:5])

    for there in (few, tmp_path / "none"):
        assert _beside(FOUND, there) == FOUND
    assert speed_text(FOUND.speed).endswith("no budget stated")
