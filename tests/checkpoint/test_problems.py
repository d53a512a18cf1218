"""What is wrong with a saved directory, one line each."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.checkpoint.problems import checkpoint_problems, promised
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


@pytest.mark.parametrize("name", ["model.pth", "full_sft_512.pt", "trained.safetensors"])
def test_weights_that_come_without_a_configuration_have_no_problem(tmp_path: Path, name: str) -> None:
    write = write_safetensors if name.endswith(".safetensors") else lambda path, tensors: torch.save(tensors, path)
    write(tmp_path / name, {"a": torch.zeros(1)})

    assert list(checkpoint_problems(tmp_path)) == []


def test_weights_of_transformers_own_come_with_one(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "pytorch_model.bin")

    assert [line for line in checkpoint_problems(tmp_path) if "no configuration" in line]


def test_an_index_of_native_shards_is_held_to_them(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    torch.save({"a": torch.zeros(1)}, tmp_path / "pytorch_model-00001-of-00001.bin")
    promised_there = {"a": "pytorch_model-00001-of-00001.bin", "b": "pytorch_model-00001-of-00001.bin"}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": promised_there}))

    (line,) = checkpoint_problems(tmp_path)
    assert "the index promises b, and no shard holds it" in line


def test_a_trainers_own_pickles_are_no_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for name in ("training_args.bin", "optimizer.pt"):
        torch.save({"a": torch.zeros(1)}, tmp_path / name)

    (line,) = checkpoint_problems(tmp_path)
    assert "no weights" in line


def keys_in(directory: Path, file: str, *keys: str) -> None:
    write_safetensors(directory / file, {key: torch.zeros(1) for key in keys})


DAMAGED_INDEX = [f"{INDEX}: is damaged: no weight_map from keys to files"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(
            lambda d: (d / "config.json").unlink(), ["no configuration (config.json or"], id="no configuration"
        ),
        pytest.param(
            lambda d: (d / "config.json").write_text("{"),
            ["config.json: is damaged: it is no JSON object"],
            id="configuration not JSON",
        ),
        pytest.param(
            lambda d: (d / "config.json").write_text("[]"),
            ["config.json: is damaged: it is no JSON object"],
            id="configuration a list",
        ),
        pytest.param(
            lambda d: [(d / name).unlink() for name in (ONE, TWO, INDEX)],
            ["no weights (no .safetensors file, and no state dict of torch)"],
            id="no weights at all",
        ),
        pytest.param(
            lambda d: promise(d, "c.weight", TWO),
            ["the index promises c.weight, and no shard holds it"],
            id="key absent",
        ),
        pytest.param(
            lambda d: [promise(d, f"c.{i}", TWO) for i in range(9)],
            ["the index promises c.0, c.1, c.2 and 6 more, and no shard holds them"],
            id="many keys absent",
        ),
        pytest.param(
            lambda d: (promise(d, "a.weight", TWO), promise(d, "a.bias", TWO)),
            ["the index looks for a.bias, a.weight in another shard than holds them"],
            id="keys in another shard than promised",
        ),
        pytest.param(
            lambda d: (d / TWO).unlink(), [f"the index names {TWO}, and there is no such file"], id="shard absent"
        ),
        pytest.param(
            lambda d: promise(d, "a.weight", f"../saved/{ONE}"),
            [f"the index names ../saved/{ONE}, and there is no such file"],
            id="shard by a path",
        ),
        pytest.param(
            lambda d: cut(d / TWO),
            [f"{TWO}: is damaged: it holds 3 bytes of data, its header says 4"],
            id="shard truncated in its data",
        ),
        pytest.param(
            lambda d: cut(d / TWO, 20), [f"{TWO}: is damaged: it is truncated"], id="shard truncated in its header"
        ),
        pytest.param(
            lambda d: [(d / f"z{i}.safetensors").write_bytes(b"") for i in range(5)],
            ["z0.safetensors: is damaged", "z1.safetensors: ", "z2.safetensors: ", "2 more files are damaged"],
            id="many shards damaged",
        ),
        pytest.param(
            lambda d: keys_in(d, "model.safetensors", "a.weight", "b.weight", "more"),
            ["model.safetensors holds a.weight, b.weight, and so does another file"],
            id="left over from an earlier save",
        ),
        pytest.param(
            lambda d: (
                [(d / name).unlink() for name in (ONE, TWO, INDEX)],
                (d / "model.pth").write_bytes(b"no pickle"),
            ),
            ["model.pth: is damaged, or holds more than tensors"],
            id="native weights that cannot be read",
        ),
        pytest.param(
            lambda d: [(d / name).write_text("{") for name in ("tokenizer_config.json", "preprocessor_config.json")],
            [f"{name}.json: is damaged: it is no JSON object" for name in ("tokenizer_config", "preprocessor_config")],
            id="other configurations not JSON",
        ),
        pytest.param(
            lambda d: (d / "config.json").write_text('{"auto_map": {"AutoModel": "modeling_gone.M"}}'),
            ["modeling_gone.py: is missing, and config.json needs it"],
            id="code absent",
        ),
        pytest.param(
            lambda d: (d / "config.json").write_text('{"auto_map": 3}'),
            ["has auto_map 3"],
            id="auto_map of a wrong type",
        ),
        pytest.param(lambda d: (d / INDEX).write_text("{"), DAMAGED_INDEX, id="index not JSON"),
        pytest.param(lambda d: (d / INDEX).write_text("[" * 100_000), DAMAGED_INDEX, id="index nested too deep"),
        pytest.param(lambda d: (d / INDEX).write_text("{}"), DAMAGED_INDEX, id="index empty"),
        pytest.param(lambda d: (d / INDEX).write_text("[]"), DAMAGED_INDEX, id="index a list"),
        pytest.param(lambda d: (d / INDEX).write_bytes(b"\xff\xfe"), DAMAGED_INDEX, id="index binary"),
        pytest.param(
            lambda d: (d / INDEX).write_text('{"weight_map": ["a.weight"]}'), DAMAGED_INDEX, id="index maps to nothing"
        ),
        pytest.param(
            lambda d: (d / INDEX).write_text('{"weight_map": {"a.weight": 1}}'),
            DAMAGED_INDEX,
            id="index maps to number",
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


def test_an_index_promises_each_key_in_a_shard(saved: Path) -> None:
    assert promised(saved) == {"a.weight": ONE, "a.bias": ONE, "b.weight": TWO, "empty": TWO}
    (saved / INDEX).unlink()
    assert promised(saved) is None
