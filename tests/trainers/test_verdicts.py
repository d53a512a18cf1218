"""What a run comes to: silence is judged too, a defect is caught by its own kind of check, no sight is no success."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.result import Result, Status
from trainers.observing import judged
from trainers.table import as_markdown, keep, read_table, row_of

PASSED = Result("r", "losses_finite", Status.PASSED)
FROZEN = Result("r", "frozen_parameters_unchanged", Status.FAILED, "1 finding")
BLOCKED = Result("r", "labels_present", Status.BLOCKED, "no forward")
IDLE = Result("r", "pixels_matter", Status.NOT_APPLICABLE, "not probed")


@pytest.mark.parametrize(
    ("results", "problems", "said"),
    [
        ([PASSED, IDLE], [], "silent"),
        ([PASSED, FROZEN], [], "false alarm: frozen_parameters_unchanged"),
        ([PASSED], ["image processor"], "false alarm: image processor"),
        ([PASSED, BLOCKED], [], "lost: labels_present"),
        ([], [], "not observed, exit status 3"),
    ],
)
def test_a_healthy_run_is_right_in_silence_alone(results: list[Result], problems: list[str], said: str) -> None:
    verdict = judged("healthy", results, problems, 3, 1.0, "train")

    assert (verdict.verdict, verdict.right) == (said, said == "silent")
    assert verdict.applied == sum(one is not IDLE for one in results)


@pytest.mark.parametrize(
    ("results", "problems", "said"),
    [
        ([PASSED, FROZEN], [], "caught: frozen_parameters_unchanged"),
        ([PASSED], ["image processor"], "missed; failed: image processor"),
        ([PASSED], [], "missed; failed: nothing"),
        ([], [], "not observed, exit status 3"),
    ],
)
def test_a_defect_is_caught_by_a_check_of_its_kind(results: list[Result], problems: list[str], said: str) -> None:
    wanted = ("frozen_parameters_unchanged", "trainable_set_as_intended")

    verdict = judged("frozen part trains", results, problems, 3, 1.0, "train", wanted)

    assert (verdict.verdict, verdict.right) == (said, said.startswith("caught"))


def test_rows_take_the_place_of_their_own_cases_and_of_no_others(tmp_path: Path) -> None:
    path, order = tmp_path / "new" / "trainers.json", ["TRL", "torch"]
    silent, alarm = judged("healthy", [PASSED], [], 0, 1.0, "a"), judged("healthy", [FROZEN], [], 0, 1.0, "a")
    caught = judged("frozen part trains", [FROZEN], [], 0, 2.0, "b", (FROZEN.check,))

    keep(path, [row_of("torch", {"torch": "2"}, "", [alarm, caught])], {}, order)
    keep(path, [row_of("TRL", {"trl": "1"}, "a remark", [silent])], {}, order)
    keep(path, [row_of("torch", {"torch": "2"}, "", [silent])], {}, order)
    keep(path, [row_of("TRL", {"trl": "1"}, "a remark", [], {"some": silent})], {}, order)

    rows = read_table(path)["trainers"]
    assert [row["trainer"] for row in rows] == order
    assert [one["verdict"] for one in rows[1]["cases"]] == ["silent", "caught: frozen_parameters_unchanged"]
    assert json.loads(path.read_text())["machine"] == {}
    text = list(as_markdown(rows))
    assert text[2] == "| TRL (trl 1) | silent; 1 checks | not run | not run | not run | not run |"
    assert text[-2] == "- TRL with tiny checkpoints of the library's own types, by path: `some` silent, 1 checks."
    assert text[-1] == "- TRL: a remark."
