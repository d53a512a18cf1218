"""What a recipe's run saved, as results: faultless as it was left, and failing for what is taken from it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.gate.saved import NOTHING_THERE, UNREADABLE, SavedBy, saved_by, saved_results
from harness.recipe import Recipe
from harness.result import Result, Status

SETTINGS: dict[str, Any] = {"family": "llava-1.5-7b", "steps": 1}
ADAPTER = {"lora": {"rank": 2, "targets": ".*language_model.*q_proj"}}


@pytest.fixture(scope="module")
def made(warm: Any, bases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a session that made three runs: a whole model, an adapter, and one that saves nothing."""
    from harness.checks import CHECKS
    from harness.running.session import Session

    out = tmp_path_factory.mktemp("saved")
    session = Session(warm, out, bases=bases)
    for name, more in (
        ("whole", {"tune": "connector"}),
        ("adapter", ADAPTER),
        ("none", {"tune": "connector", "save": {"what": "nothing"}}),
    ):
        session.results(f"s/{name}", Recipe.model_validate({**SETTINGS, **more}), [check.name for check in CHECKS])
    return out / "runs"


@pytest.fixture
def altered(made: Path, tmp_path: Path) -> Callable[[str], SavedBy]:
    """What a recipe saved, in a copy that a test may change."""

    def copy(name: str) -> SavedBy:
        run = tmp_path / name
        shutil.copytree(made / f"s_{name}", run)
        found = saved_by(f"s/{name}", run)
        assert found is not None
        return found

    return copy


def failing(saved: SavedBy) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = {}
    for one in saved_results(saved):
        if one.status not in (Status.PASSED, Status.NOT_APPLICABLE):
            found.setdefault(one.check, []).append(one)
    return found


@pytest.mark.parametrize(("name", "checks"), [("whole", 10), ("adapter", 10)])
def test_what_was_saved_is_faultless(altered: Callable[[str], SavedBy], name: str, checks: int) -> None:
    saved = altered(name)
    assert failing(saved) == {}
    assert sum(one.status is Status.PASSED for one in saved_results(saved)) > checks
    assert saved.base is not None
    assert saved.again == f"harness inspect {saved.directory} --base {saved.base}"


def test_what_saves_nothing_is_not_looked_at(made: Path) -> None:
    assert saved_by("s/none", made / "s_none") is None
    assert saved_by("s/absent", made / "s_absent") is None


def test_a_processor_that_is_missing(altered: Callable[[str], SavedBy]) -> None:
    saved = altered("whole")
    (saved.directory / "processor_config.json").unlink()
    found = failing(saved)
    assert "inspect.files" in found
    assert all(one.status is Status.FAILED for results in found.values() for one in results)


def test_a_token_without_a_row(altered: Callable[[str], SavedBy]) -> None:
    saved = altered("whole")
    config = saved.directory / "config.json"
    content = json.loads(config.read_text())
    content["image_token_index"] = content["image_token_id"] = 10**6
    config.write_text(json.dumps(content))
    assert "inspect.vocabulary" in failing(saved)


def test_weights_that_are_cut_short(altered: Callable[[str], SavedBy]) -> None:
    saved = altered("adapter")
    weights = saved.directory / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    assert "inspect.readable" in failing(saved)


def test_a_run_that_left_nothing_is_blocked(altered: Callable[[str], SavedBy]) -> None:
    saved = altered("whole")
    shutil.rmtree(saved.directory)
    (only,) = saved_results(saved)
    assert (only.check, only.status, only.reason) == (UNREADABLE, Status.BLOCKED, NOTHING_THERE)


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may read everything")
def test_a_directory_that_may_not_be_read(altered: Callable[[str], SavedBy]) -> None:
    saved = altered("whole")
    saved.directory.chmod(0)
    try:
        (only,) = saved_results(saved)
    finally:
        saved.directory.chmod(0o755)
    assert (only.check, only.status) == (UNREADABLE, Status.FAILED)
