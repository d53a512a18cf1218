"""What is wrong with a saved directory, one line each."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.checkpoint.inventory import checkpoint_problems
from harness.trace.writer import write_safetensors

ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


def promise(directory: Path, key: str, shard: str) -> None:
    index = json.loads((directory / INDEX).read_text())
    index["weight_map"][key] = shard
    (directory / INDEX).write_text(json.dumps(index))


def cut(path: Path, keep: int | None = -1) -> None:
    path.write_bytes(path.read_bytes()[:keep])


def test_a_good_directory_has_no_problem(saved: Path) -> None:
    assert list(checkpoint_problems(saved)) == []


def test_an_adapter_directory_has_no_problem(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "adapter_model.safetensors", {"a": torch.zeros(1)})
    (tmp_path / "adapter_config.json").write_text("{}")

    assert list(checkpoint_problems(tmp_path)) == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(
            lambda d: (d / "config.json").unlink(), ["no configuration (config.json or"], id="no configuration"
        ),
        pytest.param(
            lambda d: promise(d, "c.weight", TWO),
            ["the index promises c.weight, and no shard holds it"],
            id="key absent",
        ),
        pytest.param(
            lambda d: (d / TWO).unlink(),
            ["the index promises b.weight, and", "the index promises empty, and"],
            id="shard absent",
        ),
        pytest.param(
            lambda d: cut(d / TWO),
            [f"{TWO}: is damaged: it holds 3 bytes of data, its header says 4", "promises b.weight", "promises empty"],
            id="shard truncated in its data",
        ),
        pytest.param(
            lambda d: cut(d / TWO, 20),
            [f"{TWO}: is damaged: it is truncated", "promises b.weight", "promises empty"],
            id="shard truncated in its header",
        ),
        pytest.param(
            lambda d: (d / INDEX).write_text("{"), [f"{INDEX}: is damaged: no weight_map"], id="index not JSON"
        ),
        pytest.param(lambda d: (d / INDEX).write_text("{}"), [f"{INDEX}: is damaged: no weight_map"], id="index empty"),
        pytest.param(
            lambda d: (d / INDEX).write_text("[]"), [f"{INDEX}: is damaged: no weight_map"], id="index a list"
        ),
        pytest.param(
            lambda d: (d / INDEX).write_bytes(b"\xff\xfe"), [f"{INDEX}: is damaged: no weight_map"], id="index binary"
        ),
        pytest.param(
            lambda d: (cut(d / ONE, 0), (d / "config.json").unlink(), (d / INDEX).unlink()),
            ["no configuration", f"{ONE}: is damaged"],
            id="several",
        ),
    ],
)
def test_each_damage_is_a_line(saved: Path, damage: Callable[[Path], object], said: list[str]) -> None:
    damage(saved)
    lines = list(checkpoint_problems(saved))

    assert len(lines) == len(said)
    assert all(part in line for part, line in zip(said, lines, strict=True))
    assert all(line.startswith(str(saved)) and "\n" not in line and "; " in line for line in lines)


def test_a_missing_directory_is_one_line(tmp_path: Path) -> None:
    assert list(checkpoint_problems(tmp_path / "none")) == [
        f"{tmp_path / 'none'}: no such directory; name a saved directory"
    ]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(
            lambda d: promise(d, "a.weight", TWO),
            id="key in another shard than promised",
            marks=pytest.mark.xfail(reason="only the union of the shards is compared with the index"),
        ),
        pytest.param(
            lambda d: (d / INDEX).write_text('{"weight_map": ["a.weight"]}'),
            id="index maps to no files",
            marks=pytest.mark.xfail(reason="a list of keys is taken for a weight_map"),
        ),
        pytest.param(
            lambda d: [(d / name).unlink() for name in (ONE, TWO, INDEX)],
            id="no weights at all",
            marks=pytest.mark.xfail(reason="a directory of configuration alone is taken for a checkpoint"),
        ),
        pytest.param(
            lambda d: (d / "config.json").write_text("{"),
            id="configuration not JSON",
            marks=pytest.mark.xfail(reason="the configuration is not read"),
        ),
    ],
)
def test_a_directory_that_will_not_load_has_a_problem(saved: Path, damage: Callable[[Path], object]) -> None:
    damage(saved)

    assert list(checkpoint_problems(saved))
