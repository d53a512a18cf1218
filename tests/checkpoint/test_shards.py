"""Shards and their index: what is missing is told by name, and an index is written from what the shards hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from harness.checkpoint.inventory import fingerprints_by_dtype
from harness.checkpoint.problems import checkpoint_problems
from harness.checkpoint.repair import repair_index
from harness.checkpoint.shards import INDEXES, absent_shards, shards_without_index, to_bin

SHARDS = [f"model-{number:05d}-of-00003" for number in (1, 2, 3)]


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """A saved directory of three shards with an index."""
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    for number, shard in enumerate(SHARDS):
        save_file({f"layer.{number}": torch.full((2,), float(number))}, tmp_path / f"{shard}.safetensors")
    places = {f"layer.{number}": f"{shard}.safetensors" for number, shard in enumerate(SHARDS)}
    (tmp_path / INDEXES[0]).write_text(json.dumps({"metadata": {"total_size": 24}, "weight_map": places}))
    return tmp_path


def problems(directory: Path) -> list[str]:
    return [line.replace(str(directory), "D") for line in checkpoint_problems(directory)]


def test_a_whole_directory_has_no_problem_in_either_format(sharded: Path) -> None:
    assert problems(sharded) == []
    to_bin(sharded)
    assert problems(sharded) == []


def test_the_older_format_holds_the_same_under_its_names(sharded: Path) -> None:
    before = fingerprints_by_dtype(sharded)

    to_bin(sharded)

    names = {f"pytorch_{shard}.bin" for shard in SHARDS} | {"config.json", "pytorch_model.bin.index.json"}
    assert {path.name for path in sharded.iterdir()} == names
    assert fingerprints_by_dtype(sharded) == before
    index = json.loads((sharded / INDEXES[1]).read_text())
    assert index["weight_map"] == {f"layer.{number}": f"pytorch_{shard}.bin" for number, shard in enumerate(SHARDS)}


def test_a_model_in_one_file_has_no_index_in_the_older_format_either(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    save_file({"a": torch.zeros(2)}, tmp_path / "model.safetensors")

    to_bin(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "pytorch_model.bin"}
    assert problems(tmp_path) == []


@pytest.mark.parametrize("old", [False, True], ids=INDEXES)
def test_shards_without_an_index_are_told_with_the_remedy_and_it_works(sharded: Path, old: bool) -> None:
    if old:
        to_bin(sharded)
    index = sharded / INDEXES[old]
    places = json.loads(index.read_text())["weight_map"]
    index.unlink()

    assert shards_without_index(sharded) == {index.name: sorted(places.values())}
    assert problems(sharded) == [
        f"D: 3 shards and no index ({index.name}): from_pretrained finds none; "
        "write it from the shards' own keys: harness inspect DIRECTORY --repair"
    ]
    assert repair_index(sharded) == [index.name]
    assert json.loads(index.read_text())["weight_map"] == places
    assert problems(sharded) == []
    assert repair_index(sharded) == []


def test_a_shard_that_is_missing_is_named_by_the_others_and_no_index_is_made_without_it(sharded: Path) -> None:
    (sharded / INDEXES[0]).unlink()
    (sharded / f"{SHARDS[1]}.safetensors").unlink()

    assert absent_shards(path.name for path in sharded.iterdir()) == [f"{SHARDS[1]}.safetensors"]
    assert problems(sharded) == [
        f"D: {SHARDS[1]}.safetensors missing, by the names of the other shards; save the model again"
    ]
    assert repair_index(sharded) == []


def test_an_index_of_an_earlier_save_in_the_other_format_is_told(sharded: Path) -> None:
    """What reads shards through this index opens files that are not there, or one format as the other."""
    places = {f"layer.{number}": f"pytorch_{shard}.bin" for number, shard in enumerate(SHARDS)}
    (sharded / INDEXES[1]).write_text(json.dumps({"weight_map": places}))

    (line,) = problems(sharded)

    assert line.startswith("D: the index names pytorch_model-00001-of-00003.bin")
    assert line.endswith(f"{INDEXES[1]} is of another save; remove {INDEXES[1]}")


def test_one_file_is_no_shard(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    save_file({"a": torch.zeros(2)}, tmp_path / "model-00001-of-00001.safetensors")

    assert shards_without_index(tmp_path) == {}
