"""How pictures lie to text, before a run and after it, is told where a run was asked to tell it."""

from __future__ import annotations

import json
from pathlib import Path

from harness.report import to_html, to_markdown
from harness.report.alignments import alignments
from harness.report.model import RunReport
from harness.result import Result, Status


def recorded(folder: Path, recipe: str, *records: dict) -> None:
    trace = folder / "runs" / recipe.replace("/", "_") / "trace"
    (trace / "rank-0").mkdir(parents=True)
    (trace / "header.json").write_text(json.dumps({"recipe_id": recipe}))
    lines = [json.dumps(record, separators=(",", ":")) for record in records]
    (trace / "rank-0" / "events.jsonl").write_text("\n".join(lines) + "\n")


def test_it_is_read_from_the_traces_that_hold_it(tmp_path: Path) -> None:
    probe = {"kind": "probe", "name": "alignment", "arrays": None}
    recorded(tmp_path, "s/fused", {"kind": "stage"}, {**probe, "before": -0.00625, "after": 0.0361})
    recorded(tmp_path, "s/after-alone", {**probe, "before": None, "after": 0.5})
    recorded(tmp_path, "s/other", {"kind": "probe", "name": "outputs"})

    assert alignments([tmp_path]) == {"s/fused": (-0.00625, 0.0361), "s/after-alone": (None, 0.5)}


def test_both_reports_show_it_and_say_nothing_where_there_is_none() -> None:
    results = (Result("s/fused", "run.completed", Status.PASSED),)
    told = RunReport(results, alignments={"s/fused": (-0.00625, 0.0361), "s/<b>": (None, 0.5)})

    assert "| `s/fused` | -0.006 | +0.036 |" in to_markdown(told)
    assert "not told | +0.500" in to_markdown(told)
    page = to_html(told)
    assert '<th scope="row">s/fused</th><td>-0.006</td><td>+0.036</td>' in page
    assert "s/&lt;b&gt;" in page
    for silent in (to_markdown(RunReport(results)), to_html(RunReport(results))):
        assert "How pictures lie" not in silent
