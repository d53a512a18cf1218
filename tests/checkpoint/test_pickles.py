"""Files that hold pickles are known as such, by their ending or their bytes, without any being loaded."""

import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from harness.checkpoint.pickles import is_pickled
from harness.trace.writer import write_safetensors


@pytest.mark.parametrize("name", ["a.bin", "a.pt", "a.pth", "a.ckpt", "a.pkl", "a.pickle"])
def test_a_file_with_the_ending_of_pickles_is_one_whatever_it_holds(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")

    assert is_pickled(tmp_path / name)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_under_another_name_is_one(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "notes.txt").write_bytes(pickle.dumps({"a": 1}, protocol))

    assert is_pickled(tmp_path / "notes.txt")


@pytest.mark.parametrize("archive", [True, False])
def test_what_torch_saves_is_one_under_any_name(tmp_path: Path, archive: bool) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "weights", _use_new_zipfile_serialization=archive)

    assert is_pickled(tmp_path / "weights")


def test_other_files_are_none(tmp_path: Path) -> None:
    (tmp_path / "text.json").write_text("{}")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04")
    with zipfile.ZipFile(tmp_path / "notes.zip", "w") as archive:
        archive.writestr("notes.txt", "data.pkl")

    assert [path.name for path in tmp_path.iterdir() if is_pickled(path)] == []


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_safetensors_file_whose_length_looks_like_a_protocol_is_none(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {"a": torch.ones(1)}, {"filling": ""})
    header = int.from_bytes(path.read_bytes()[:8], "little")
    write_safetensors(path, {"a": torch.ones(1)}, {"filling": "x" * (protocol * 256 + 0x80 - header)})
    assert path.read_bytes()[:3] == bytes([0x80, protocol, 0])

    assert not is_pickled(path)
