"""How far a run is from its golden: nothing for the same, and the size of what was changed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.places import folder_name
from harness.report import AboutRun, write_reports
from harness.report.drift import Drift, drift_of, drifts
from harness.report.html_goldens import drift_said
from harness.result import Result, Status
from harness.trace.reader import read_trace
from tests.report.conftest import GOLDENS, RECIPE, edit

VERIFIED = (Result(RECIPE, "golden.loads", Status.PASSED), Result(RECIPE, "golden.loss", Status.PASSED))


def test_a_run_like_its_golden_is_equal_step_by_step(golden_trace: Path) -> None:
    then = read_trace(golden_trace)

    found = drift_of(then, then)

    assert found.loss == found.weights == (0.0,) * len(then.steps)
    assert set(found.parted) == {0}
    assert found.tensors == len(then.parameters)
    assert (found.last, found.where) == (0.0, "")
    assert drift_said(found) == f"The run is equal to it, bit for bit, over {len(then.steps)} steps."


def test_the_size_of_a_difference_is_told_at_its_step(golden_trace: Path, trace: Path) -> None:
    def change(record: dict[str, Any]) -> None:
        if record["kind"] == "forward" and record["step"] == 2 and record["loss"]:
            record["loss"] += 0.25
        if record["kind"] == "optimizer_step" and record["step"] == 3:
            column = record["values"]["model0"]
            column["fingerprint"][0] = "0" * 16
            column["rms"][0] += 0.5

    edit(trace, change)
    found = drift_of(read_trace(golden_trace), read_trace(trace))

    assert [value and round(value, 6) for value in found.loss] == [0.0, 0.0, 0.25, 0.0]
    assert [value and round(value, 6) for value in found.weights] == [0.0, 0.0, 0.0, 0.5]
    assert found.parted == (0, 0, 0, 1)
    assert drift_said(found).startswith("Losses differ by at most 0.25; 1 of ")


def test_the_golden_is_read_from_its_archive(run_folder: Path) -> None:
    found = drifts([run_folder], [RECIPE], GOLDENS)[RECIPE]

    assert found.why == ""
    assert set(found.loss) == {0.0}


def test_the_golden_is_read_from_where_verifying_left_it(run_folder: Path, golden_trace: Path) -> None:
    for kind in ("pinned", "now"):
        shutil.copytree(golden_trace, run_folder / "golden-runs" / kind / folder_name(RECIPE) / "trace")
    edit(run_folder / "golden-runs" / "now" / folder_name(RECIPE) / "trace", lambda r: r["kind"] != "optimizer_step")

    assert drifts([run_folder], [RECIPE], None)[RECIPE].steps == ()


@pytest.mark.parametrize("goldens", [None, Path("nowhere")])
def test_a_golden_that_is_not_there_is_said(run_folder: Path, goldens: Path | None) -> None:
    found = drifts([run_folder], [RECIPE], goldens)[RECIPE]

    assert found == Drift(why="The golden's trace does not lie beside the results.")


def test_a_damaged_archive_is_said(run_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDENS, tmp_path / "golden"))
    for archive in folder.glob("llava_lora*"):
        archive.write_bytes(archive.read_bytes()[:1000])

    assert drifts([run_folder], [RECIPE], folder)[RECIPE].why.startswith("It cannot be read: is damaged")


def test_the_reports_of_a_verified_golden_say_how_far_the_run_is_from_it(run_folder: Path) -> None:
    write_reports(run_folder, VERIFIED, AboutRun(goldens=str(GOLDENS)), [run_folder])

    page, text = ((run_folder / name).read_text() for name in ("report.html", "report.md"))
    assert "Difference from the golden" in page
    assert "The run is equal to it, bit for bit, over 4 steps." in page
    assert f"| `{RECIPE}` | 2/2 | The run is equal to it, bit for bit, over 4 steps. |" in text


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.update(values={}) if record["kind"] == "optimizer_step" else 0,
        lambda record: record.update(loss=10**400) if record["kind"] == "forward" else 0,
        lambda record: record["values"]["model0"].update(rms=[]) if record["kind"] == "optimizer_step" else 0,
        lambda record: record.update(arrays="nowhere.safetensors") if record["kind"] == "final" else 0,
    ],
    ids=["no values", "a number too large", "no sizes", "no arrays"],
)
def test_a_damaged_trace_says_so_and_breaks_nothing(run_folder: Path, trace: Path, change: Any) -> None:
    edit(trace, change)

    found = drifts([run_folder], [RECIPE], GOLDENS)[RECIPE]

    assert found.why or set(found.parted) == {0}
    write_reports(run_folder, VERIFIED, AboutRun(goldens=str(GOLDENS)), [run_folder])
