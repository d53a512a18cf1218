"""Logs of each kind: what is written is read back; a kind that is not installed is refused by name."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness import stack
from harness.engines.logs import LOGS, opened, read_back
from harness.recipe import Recipe, read_suite
from harness.refusal import Refused
from harness.running.session import check_buildable

VALUES = {1: {"loss": 2.5, "learning_rate": 1e-3}, 2: {"loss": 1 / 3, "learning_rate": 5e-4}}


def in_fp32(value: float) -> float:
    found: float = struct.unpack("f", struct.pack("f", value))[0]
    return found


@pytest.mark.parametrize("kind", LOGS)
def test_what_is_logged_is_read_back(kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind != "csv":
        pytest.importorskip(kind)
    monkeypatch.setenv("WANDB_MODE", "offline")
    log = opened(kind, tmp_path / "logs")
    for step, values in VALUES.items():
        log.add(step, values)
    log.close()

    as_kept = in_fp32 if kind == "tensorboard" else float
    assert read_back(kind, tmp_path / "logs") == {
        "step": list(VALUES),
        **{name: [as_kept(values[name]) for values in VALUES.values()] for name in ("loss", "learning_rate")},
    }


@pytest.mark.parametrize("kind", ["tensorboard", "wandb"])
def test_what_is_not_installed_is_refused_by_name(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text(f"family: llava-1.5-7b\nrecipes: {{one: {{tune: connector, logging: {kind}}}}}\n", encoding="utf-8")

    monkeypatch.setattr(stack, "has", lambda library: True)
    check_buildable(read_suite(file))
    monkeypatch.setattr(stack, "has", lambda library: library != kind)
    with pytest.raises(Refused, match=f"one: logging {kind} is not installed"):
        check_buildable(read_suite(file))


def test_a_trainer_logs_in_its_own_way() -> None:
    with pytest.raises(ValidationError, match="logging csv and engine trainer"):
        Recipe.model_validate({"family": "f", "tune": "vision", "logging": "csv", "engine": "trainer"})
