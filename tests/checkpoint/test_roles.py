"""Which files play which role, whatever release wrote them."""

from pathlib import Path
from typing import Any

import pytest

from harness.checkpoint.roles import roles
from tests.checkpoint.directories import CODE, with_code, write


def played(directory: Path, role: str) -> list[str]:
    return roles(directory).get(role, [])


def test_every_role_of_a_whole_directory_is_found(tmp_path: Path) -> None:
    assert roles(with_code(tmp_path)) == {
        "configuration": ["config.json"],
        "generation configuration": ["generation_config.json"],
        "weights": ["model.safetensors"],
        "tokenizer": ["tokenizer.json"],
        "tokenizer configuration": ["tokenizer_config.json"],
        "special tokens": ["special_tokens_map.json", "tokenizer_config.json"],
        "chat template": ["tokenizer_config.json"],
        "processor": ["preprocessor_config.json"],
        "image processor": ["preprocessor_config.json"],
        "code": sorted(CODE),
    }


def test_an_empty_directory_plays_none(tmp_path: Path) -> None:
    assert roles(tmp_path) == {}


@pytest.mark.parametrize(
    ("role", "files"),
    [
        ("tokenizer", {"tokenizer.model": ""}),
        ("tokenizer", {"vocab.json": {}, "merges.txt": ""}),
        ("special tokens", {"tokenizer_config.json": {"pad_token": "!"}}),
        ("special tokens", {"tokenizer_config.json": {"bos_token": {"content": "<s>"}}}),
        ("chat template", {"chat_template.jinja": "x"}),
        ("chat template", {"chat_template.json": {"chat_template": "x"}}),
        ("chat template", {"processor_config.json": {"chat_template": "x"}}),
        ("processor", {"processor_config.json": {"processor_class": "LlavaProcessor"}}),
        ("processor", {"preprocessor_config.json": {"processor_class": "LlavaProcessor"}}),
        ("processor", {"tokenizer_config.json": {"processor_class": "LlavaProcessor"}}),
        ("processor", {"tokenizer_config.json": {"auto_map": {"AutoProcessor": "a--b.C"}}}),
        ("image processor", {"processor_config.json": {"image_processor": {"size": 1}}}),
        ("adapter configuration", {"adapter_config.json": {}}),
        ("adapter weights", {"adapter_model.safetensors": ""}),
        ("adapter weights", {"adapter_model.bin": ""}),
        ("weights", {"full_sft_512.pth": ""}),
        ("projector weights", {"mm_projector.bin": ""}),
        ("weights beside the adapter", {"non_lora_trainables.bin": "", "vpm_resampler_embedtokens.pt": ""}),
        ("weights", {"pytorch_model-00001-of-00002.bin": "", "pytorch_model-00002-of-00002.bin": ""}),
        ("weight index", {"model.safetensors.index.json": {}}),
        ("weight index", {"pytorch_model.bin.index.json": {}}),
        ("trainer", {"training_args.bin": ""}),
        ("trainer", {"optimizer.pt": "", "scheduler.pt": "", "rng_state_0.pth": "", "trainer_state.json": {}}),
    ],
)
def test_a_role_is_played_by_any_of_its_files(tmp_path: Path, role: str, files: dict[str, Any]) -> None:
    for name, value in files.items():
        write(tmp_path, name, value)

    assert played(tmp_path, role) == sorted(files)


@pytest.mark.parametrize(
    ("role", "files"),
    [
        ("tokenizer", {"vocab.json": {}}),
        ("special tokens", {"tokenizer_config.json": {"pad_token": None, "model_max_length": 9}}),
        ("chat template", {"tokenizer_config.json": {"chat_template": None}}),
        ("processor", {"preprocessor_config.json": {"auto_map": {"AutoImageProcessor": "a.B"}}}),
        ("processor", {"tokenizer_config.json": {"auto_map": ["a.AutoProcessor", None]}}),
        ("processor", {"preprocessor_config.json": "{"}),
        ("image processor", {"processor_config.json": {"image_processor": None}}),
        ("weights", {"training_args.bin": "", "optimizer.pt": "", "adapter_model.bin": "", "notes.pkl": ""}),
        ("code", {"config.json": {"auto_map": {"AutoModel": "modeling_gone.A"}}, "unrelated.py": ""}),
    ],
)
def test_a_role_is_not_played_by_less(tmp_path: Path, role: str, files: dict[str, Any]) -> None:
    for name, value in files.items():
        write(tmp_path, name, value)

    assert played(tmp_path, role) == []


def test_files_in_folders_play_none(tmp_path: Path) -> None:
    write(tmp_path, "checkpoint-2/tokenizer.json", {})

    assert roles(tmp_path) == {}
