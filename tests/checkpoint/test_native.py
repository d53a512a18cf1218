"""State dicts of torch are read without running anything in them, and nothing else is."""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.checkpoint.native import dtype_name, native_files, native_tensors
from harness.refusal import Refused

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.bfloat16)}


class Hostile:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "ran")


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("content", [STATE, {"model": STATE}, OrderedDict(STATE)])
def test_a_state_dict_is_read_bit_for_bit(tmp_path: Path, content: Any, archive: bool) -> None:
    torch.save(content, tmp_path / "model.pth", _use_new_zipfile_serialization=archive)
    found = native_tensors(tmp_path / "model.pth")

    assert sorted(found) == sorted(STATE)
    assert all(torch.equal(found[key], STATE[key]) and found[key].dtype == STATE[key].dtype for key in STATE)


def test_an_archive_stays_in_its_file_until_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda *some, **options: asked.append(options) or load(*some, **options))
    torch.save(STATE, tmp_path / "model.pth")
    native_tensors(tmp_path / "model.pth")

    assert asked == [{"map_location": "cpu", "weights_only": True, "mmap": True}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"model": STATE, "epoch": 1}, "holds no state dict: model is a dict"),
        ({"a": 1}, "holds no state dict: a is a int"),
        ({1: torch.ones(1)}, "holds no state dict: a key is 1"),
        ({}, "holds no state dict: an empty dict"),
        ({"model": {}}, "holds no state dict: an empty dict"),
        ([torch.ones(1)], "holds no state dict: a list"),
        (torch.ones(1), "holds no state dict: a Tensor"),
        ({"a": torch.ones(2, 2).to_sparse()}, "holds no state dict: a is a tensor of torch.float32, torch.sparse_coo"),
        (torch.nn.Linear(1, 1), "is damaged, or holds more than tensors and is not loaded (UnpicklingError: "),
    ],
)
def test_anything_else_is_refused_in_one_line(tmp_path: Path, content: Any, said: str) -> None:
    torch.save(content, tmp_path / "model.pth")

    with pytest.raises(Refused) as caught:
        native_tensors(tmp_path / "model.pth")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("archive", [True, False, None])
def test_code_in_a_pickle_is_not_run(tmp_path: Path, archive: bool | None) -> None:
    path, ran = tmp_path / "model.pth", tmp_path / "ran"
    if archive is None:
        path.write_bytes(pickle.dumps(Hostile(ran)))
    else:
        torch.save({"a": Hostile(ran)}, path, _use_new_zipfile_serialization=archive)

    with pytest.raises(Refused, match="more than tensors"):
        native_tensors(path)
    assert not ran.exists()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(b"hello\n" * 9), id="text"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-40]), id="cut off"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:40]), id="cut off early"),
        pytest.param(lambda path: path.write_bytes(b"PK\x03\x04" + bytes(99)), id="an archive of nothing"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line_without_a_warning(
    tmp_path: Path, damage: Callable[[Path], object], recwarn: pytest.WarningsRecorder
) -> None:
    path = tmp_path / "model.pth"
    torch.save(STATE, path)
    damage(path)

    with pytest.raises(Refused, match=r"model\.pth: is damaged") as caught:
        native_tensors(path)
    assert len(str(caught.value)) < 500
    assert "weights_only" not in str(caught.value)
    assert not list(recwarn)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"gone\.pth: cannot be read"):
        native_tensors(tmp_path / "gone.pth")


def test_dtypes_have_the_names_of_safetensors() -> None:
    assert [dtype_name(torch.ones(1).to(dtype)) for dtype in (torch.float32, torch.bfloat16, torch.bool)] == [
        "F32",
        "BF16",
        "BOOL",
    ]


def test_native_files_are_weights_of_a_model_or_an_adapter(tmp_path: Path) -> None:
    for name in ("b.pth", "a.bin", "adapter_model.bin", "training_args.bin", "optimizer.pt", "model.safetensors"):
        (tmp_path / name).write_bytes(b"")

    assert [path.name for path in native_files(tmp_path)] == ["a.bin", "adapter_model.bin", "b.pth"]
