"""What a save lacks is copied from its base; nothing that is there is touched."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.checkpoint.code_files import code_files
from harness.checkpoint.missing import missing_roles
from harness.checkpoint.repair import obstacle, repair
from harness.checkpoint.roles import roles
from harness.refusal import Refused
from tests.checkpoint.directories import CODE, tensors, with_code, write


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return with_code(tmp_path / "base")


def saved_without(base: Path, *names: str) -> Path:
    saved = base.with_name("saved")
    shutil.copytree(base, saved)
    for name in names:
        (saved / name).unlink()
    return saved


def contents(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def test_a_directory_without_processor_and_code_is_whole_again(base: Path) -> None:
    lost = (
        "preprocessor_config.json",
        "processing_demo.py",
        "image_processing_demo.py",
        "modeling_demo.py",
        "resampler.py",
    )
    saved = saved_without(base, *lost)

    assert repair(saved, base) == sorted(lost)
    assert contents(saved) == contents(base)
    assert repair(saved, base) == []


@pytest.mark.parametrize(
    "lost",
    [
        ("generation_config.json",),
        ("tokenizer.json",),
        ("tokenizer_config.json", "special_tokens_map.json"),
        ("preprocessor_config.json",),
        *((name,) for name in CODE),
        ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "tokenization_demo.py"),
    ],
)
def test_each_loss_is_made_good(base: Path, lost: tuple[str, ...]) -> None:
    saved = saved_without(base, *lost)

    assert repair(saved, base) == sorted(lost)
    assert missing_roles(roles(base), roles(saved), "full") == []
    assert code_files(saved).missing == ()


@pytest.mark.parametrize("lost", ["model.safetensors", "config.json"])
def test_weights_and_configuration_are_not_the_bases_to_give(base: Path, lost: str) -> None:
    assert repair(saved_without(base, lost), base) == []


def test_what_is_there_is_not_written_over(base: Path) -> None:
    saved = saved_without(base, "preprocessor_config.json")
    write(saved, "generation_config.json", "{damaged")
    write(saved, "resampler.py", "changed = True\n")
    before = contents(saved)
    repair(saved, base)

    assert contents(saved) == {**before, "preprocessor_config.json": contents(base)["preprocessor_config.json"]}


def test_an_entry_that_a_file_lacks_is_left_and_said(base: Path) -> None:
    write(base, "processor_config.json", {"processor_class": "P", "image_processor": {"size": 1}})
    saved = saved_without(base, "preprocessor_config.json")
    write(saved, "processor_config.json", {"processor_class": "P"})
    write(saved, "tokenizer_config.json", {"eos_token": "</s>"})
    (base / "preprocessor_config.json").unlink()

    assert repair(saved, base) == []
    assert obstacle("image processor", saved, base) == (
        f"processor_config.json is there without it: take the entry over from {base / 'processor_config.json'} by hand"
    )
    assert "tokenizer_config.json is there without it" in obstacle("chat template", saved, base)


def test_the_tokenizer_of_another_vocabulary_is_left_and_said(base: Path) -> None:
    saved = saved_without(
        base, "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json"
    )
    write(saved, "config.json", {"auto_map": {}, "text_config": {"vocab_size": 10}})

    assert obstacle("generation configuration", saved, base) == ""
    assert obstacle("tokenizer", saved, base) == ("save the tokenizer of the run itself: it has 10 tokens, the base 8")
    assert repair(saved, base) == ["generation_config.json"]


def test_code_that_no_configuration_names_any_more_is_left_and_said(base: Path) -> None:
    saved = saved_without(base, *CODE)
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
        write(saved, name, {"eos_token": "</s>", "chat_template": "x", "processor_class": "P"})

    assert repair(saved, base) == []
    assert obstacle("code", saved, base) == f"take auto_map over from {base / 'config.json'} by hand"
    assert obstacle("weights", saved, base) == "save the model again"


def test_an_adapter_gets_what_prepares_its_inputs_and_their_code(base: Path) -> None:
    adapter = base.with_name("adapter")
    tensors(adapter, "adapter_model.safetensors", {"a": (1,)})
    write(adapter, "adapter_config.json", {})

    assert repair(adapter, base) == [
        "image_processing_demo.py",
        "preprocessor_config.json",
        "processing_demo.py",
        "special_tokens_map.json",
        "tokenization_demo.py",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_code_in_folders_is_copied_into_folders(base: Path) -> None:
    write(base, "resampler.py", "from .parts.query import Query\n")
    write(base, "parts/query.py", "")
    saved = saved_without(base, "parts/query.py")
    (saved / "parts").rmdir()

    assert repair(saved, base) == ["parts/query.py"]


def test_links_are_copied_as_the_files_they_lead_to(base: Path) -> None:
    saved = saved_without(base, "generation_config.json")
    (base / "generation_config.json").rename(base.with_name("blob"))
    (base / "generation_config.json").symlink_to(base.with_name("blob"))
    repair(saved, base)

    assert not (saved / "generation_config.json").is_symlink()
    assert (saved / "generation_config.json").read_bytes() == base.with_name("blob").read_bytes()


@pytest.mark.parametrize("at", ["copyfile", "replace"])
def test_a_copy_that_fails_leaves_nothing_and_is_one_line(base: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    saved = saved_without(base, "generation_config.json")
    before = contents(saved)
    monkeypatch.setattr(shutil if at == "copyfile" else Path, at, full)

    with pytest.raises(Refused, match=r"generation_config\.json: cannot be written: No space left on device"):
        repair(saved, base)
    assert contents(saved) == before
    assert not list(saved.glob(".*"))
