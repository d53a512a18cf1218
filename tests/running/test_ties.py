"""A family of somebody else's with tied weights: silent when they stay tied, and found when they part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.checks import CHECKS
from harness.checks.judging import judge
from harness.intent import Intent
from harness.launch import Job, Launcher
from harness.recipe import Recipe
from harness.result import Status
from harness.running.session import Session
from harness.trace.reader import read_trace

FAMILY = "tests.families.tied:TIED"
ALL = [check.name for check in CHECKS]


@pytest.fixture
def judged(warm: Any, tmp_path: Path) -> Any:
    def run(**settings: Any) -> Any:
        recipe = Recipe(family=FAMILY, steps=2, **settings)
        return Session(warm, tmp_path / "out").results("tied/r", recipe, ALL)

    return run


@pytest.mark.parametrize("tune", [["connector"], ["connector", "embeddings"]], ids=["frozen", "trained"])
def test_a_tied_model_passes_every_check(judged: Any, tmp_path: Path, tune: list[str]) -> None:
    results = judged(tune=tune)

    assert {n: r.findings for n, r in results.items() if r.status not in (Status.PASSED, Status.NOT_APPLICABLE)} == {}


def test_a_save_whose_configuration_forgets_the_tie_is_found(judged: Any, warm: Any, tmp_path: Path) -> None:
    judged(tune=["embeddings"])
    run = tmp_path / "out" / "runs" / "tied_r"
    configuration = json.loads((run / "saved" / "config.json").read_text())
    untied = {**configuration, "tie_word_embeddings": False}
    untied["text_config"] = {**configuration["text_config"], "tie_word_embeddings": False}
    (run / "saved" / "config.json").write_text(json.dumps(untied))

    request = json.loads((run / "reload" / "request.json").read_text())
    job = Job("harness.reloading.jobs:reload", request, str(tmp_path / "again.txt"))
    assert Launcher(warm.reloaders).run(job).code == 0
    trace = read_trace(run / "trace")
    result = judge(CHECKS["ties_kept"], "tied/r", Intent.model_validate(trace.header["intent"]), trace)

    assert [finding.kind for finding in result.findings] == ["TiedWrongly"]
    assert "share one tensor after loading" in result.findings[0].expected
