"""What a save lacks that its base has, and what comes of it."""

from pathlib import Path
from typing import Any

import pytest

from harness.checkpoint.missing import consequence, kind_of, missing_roles
from harness.checkpoint.roles import ORDER, TRAINER, roles
from tests.checkpoint.directories import with_code, write

BASE = {role: ["any"] for role in ORDER if "adapter" not in role and role not in (TRAINER, "projector weights")}
BESIDE = {"weights beside the adapter": ["non_lora_trainables.bin"]}
PROJECTOR = {"configuration": ["config.json"], "projector weights": ["mm_projector.bin"]}
ADAPTER = {"adapter configuration": ["adapter_config.json"], "adapter weights": ["adapter_model.safetensors"]}
PREPROCESSING = {
    role: ["any"]
    for role in (
        "tokenizer",
        "tokenizer configuration",
        "special tokens",
        "chat template",
        "processor",
        "image processor",
    )
}


@pytest.mark.parametrize(
    ("what", "saved"),
    [
        ("full", BASE),
        ("partial", {**PREPROCESSING, "weights": ["trained.safetensors"]}),
        ("adapter", {**PREPROCESSING, **ADAPTER}),
        ("adapter and trainables", {**PREPROCESSING, **ADAPTER, **BESIDE}),
        ("projector", {**PREPROCESSING, **PROJECTOR}),
        ("native", {"weights": ["model.pth"]}),
    ],
)
def test_each_role_of_a_kind_is_missed_and_no_other(what: str, saved: dict[str, list[str]]) -> None:
    assert missing_roles(BASE, saved, what) == []
    for role in saved:
        less = {name: files for name, files in saved.items() if name != role}
        lost = [] if role == "weight index" else [role]
        assert missing_roles(BASE, less, what) == lost


def test_several_shards_need_an_index() -> None:
    shards = {**BASE, "weights": ["one", "two"]}
    del shards["weight index"]

    assert missing_roles(BASE, shards, "full") == ["weight index"]


def test_what_the_base_has_not_is_not_missed() -> None:
    base = {"configuration": ["config.json"], "weights": ["model.safetensors"]}

    assert missing_roles(base, base, "full") == []
    assert missing_roles(base, {}, "full") == ["configuration", "weights"]
    assert missing_roles({}, {}, "adapter") == ["adapter configuration", "adapter weights"]


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["config.json", "model.safetensors"], "full"),
        (["config.json", "pytorch_model.bin"], "full"),
        (["config.json"], "full"),
        ([], "full"),
        (["model.safetensors"], "full"),
        (["trained.safetensors"], "partial"),
        (["config.json", "trained.safetensors"], "partial"),
        (["config.json", "mm_projector.bin"], "projector"),
        (["config.json", "model.safetensors", "mm_projector.bin"], "full"),
        (["adapter_config.json", "non_lora_trainables.bin"], "adapter"),
        (["model.pth"], "native"),
        (["adapter_config.json"], "adapter"),
        (["adapter_model.bin", "tokenizer.json"], "adapter"),
    ],
)
def test_a_directory_shows_what_was_saved(tmp_path: Path, files: list[str], kind: str) -> None:
    for name in files:
        write(tmp_path, name, {})

    assert kind_of(roles(tmp_path)) == kind


@pytest.mark.parametrize("role", [role for role in ORDER if role != TRAINER])
def test_every_role_has_a_consequence(tmp_path: Path, role: str) -> None:
    assert len(consequence(role, tmp_path, {}).split()) > 4


@pytest.mark.parametrize(
    ("altered", "said"),
    [
        ({}, "AutoProcessor will fall back to the tokenizer"),
        ({"config.json": {"model_type": "llava"}}, "AutoProcessor will not find its settings"),
        ({"config.json": None}, "AutoProcessor will fall back to the tokenizer"),
        ({"tokenizer_config.json": None}, "AutoProcessor will not find its settings"),
    ],
)
def test_a_model_with_code_of_its_own_gets_the_tokenizer_for_a_processor(
    tmp_path: Path, altered: dict[str, Any], said: str
) -> None:
    with_code(tmp_path)
    for name, value in altered.items():
        (tmp_path / name).unlink()
        if value:
            write(tmp_path, name, value)

    assert consequence("processor", tmp_path, roles(tmp_path)) == said
