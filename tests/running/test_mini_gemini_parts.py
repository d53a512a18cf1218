"""What Mini-Gemini's stages leave: a projector's file with far more in it, and what trained beside an adapter."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.running.session import Session
from harness.running.workers import folder_name


@pytest.fixture
def saved(shipped: dict[str, Any], warm: Any, bases: Path, tmp_path: Path) -> Any:
    """The directory that a shipped recipe leaves."""

    def made(name: str) -> Path:
        result = Session(warm, tmp_path, bases=bases).results(name, shipped[name], ["run.completed"])["run.completed"]
        assert result.status.value == "passed"
        return tmp_path / "runs" / folder_name(name) / "saved"

    return made


def names_in(directory: Path) -> set[str]:
    """The files, but for code that the library copies beside a configuration, and what peft writes for people."""
    return {path.name for path in directory.iterdir() if path.suffix not in (".py", ".md")}


def parts_of(file: Path) -> Counter[str]:
    """How many tensors of a pickled file belong to which module of the inner model."""
    names = torch.load(file, weights_only=True)
    return Counter(name.partition("model.")[2].replace("base_model.", "").split(".")[0] for name in names)


def test_the_projector_s_file_holds_the_blocks_and_both_towers_too(saved: Any) -> None:
    directory = saved("mini_gemini/stage-1")

    assert names_in(directory) == {"config.json", "mm_projector.bin"}
    assert parts_of(directory / "mm_projector.bin") == {
        "mm_projector": 4,
        **{f"vlm_uni_{name}_projector": 4 for name in ("query", "aux", "val")},
        "vision_tower": 3 + 4 + 4 * 16,
        "vision_tower_aux": 4 + 3 * 4 + 6 * 9,
    }


def test_beside_an_adapter_a_file_holds_the_projector_and_the_blocks(saved: Any) -> None:
    directory = saved("mini_gemini/lora")

    assert names_in(directory) == {
        *("adapter_config.json", "adapter_model.safetensors", "config.json", "non_lora_trainables.bin")
    }
    names = torch.load(directory / "non_lora_trainables.bin", weights_only=True)
    assert len(names) == 16
    assert all("mm_projector." in name or "vlm_uni_" in name for name in names)
