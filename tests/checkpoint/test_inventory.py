"""A saved directory, file by file and tensor by tensor."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.checkpoint.inventory import fingerprints_by_dtype, inventory
from harness.checkpoint.tensors import weight_files
from harness.refusal import Refused
from harness.trace.fingerprint import as_hex, fingerprint
from tests.checkpoint.directories import CODE, with_code


def digest_of(directory: Path, value: Any, name: str = "adapter_config.json") -> str:
    directory.mkdir(exist_ok=True)
    text = value if isinstance(value, str) else json.dumps(value)
    (directory / name).write_text(text)
    digest: str = inventory(directory)["files"][name]["digest"]
    return digest


def test_every_file_and_tensor_is_listed(saved: Path) -> None:
    found = inventory(saved)

    assert sorted(found["files"]) == sorted(path.name for path in saved.iterdir())
    assert list(found["tensors"]) == ["a.bias", "a.weight", "b.weight", "empty"]
    assert found["tensors"]["b.weight"] == {
        "file": "model-00002-of-00002.safetensors",
        "dtype": "BF16",
        "shape": [1, 2],
        "fingerprint": as_hex(fingerprint(torch.tensor([[1.0, -0.0]]).bfloat16())),
    }
    assert found["tensors"]["empty"]["fingerprint"] == as_hex(0)


@pytest.mark.parametrize(
    "dtype",
    ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"],
)
def test_tensors_have_the_fingerprint_they_have_in_memory(tmp_path: Path, dtype: str) -> None:
    tensor = torch.tensor([[3, 0], [-1, 1]]).to(getattr(torch, dtype))
    save_file({"before": torch.zeros(1, dtype=torch.uint8), "x": tensor}, tmp_path / "a.safetensors")

    assert inventory(tmp_path)["tensors"]["x"]["fingerprint"] == as_hex(fingerprint(tensor))


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "uint16", "uint32", "uint64", "complex64"])
def test_tensors_of_rarer_dtypes_have_it_too(tmp_path: Path, dtype: str) -> None:
    tensor = torch.tensor([3.0, 0.0, 1.0]).to(getattr(torch, dtype))
    save_file({"x": tensor}, tmp_path / "a.safetensors")

    assert inventory(tmp_path)["tensors"]["x"]["fingerprint"] == as_hex(fingerprint(tensor))


@pytest.mark.parametrize(("dtype", "size"), [("F4", 2), ("F6_E2M3", 3)])
def test_tensors_of_parts_of_bytes_are_listed(tmp_path: Path, dtype: str, size: int) -> None:
    header = json.dumps({"x": {"dtype": dtype, "shape": [4], "data_offsets": [0, size]}}).encode()
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes([1] * size))
    found = inventory(tmp_path)["tensors"]["x"]

    assert (found["dtype"], found["shape"]) == (dtype, [4])
    assert found["fingerprint"] == as_hex(fingerprint(torch.ones(size, dtype=torch.uint8)))


def test_a_checkpoint_in_a_folder_inside_is_another_one(saved: Path) -> None:
    (saved / "checkpoint-2").mkdir()
    save_file({"a.weight": torch.zeros(1)}, saved / "checkpoint-2" / "model.safetensors")
    found = inventory(saved)

    assert found["tensors"]["a.weight"]["shape"] == [2, 3]
    assert sorted(found["files"]["checkpoint-2/model.safetensors"]) == ["bytes", "digest"]
    assert "checkpoint-2" not in [path.parent.name for path in weight_files(saved)]


def test_a_key_in_two_files_is_refused(saved: Path) -> None:
    save_file({"b.weight": torch.zeros(1)}, saved / "model.safetensors")

    with pytest.raises(Refused, match=r"model-00002-of-00002\.safetensors and model\.safetensors both hold b\.weight"):
        inventory(saved)


def test_json_that_cannot_be_read_is_digested_byte_by_byte(tmp_path: Path) -> None:
    deep = "[" * 100_000

    assert digest_of(tmp_path / "one", deep) != digest_of(tmp_path / "two", deep + " ")


def test_files_in_folders_are_listed_by_their_path(saved: Path) -> None:
    (saved / "processor").mkdir()
    (saved / "processor" / "vocab.txt").write_text("a")

    assert inventory(saved)["files"]["processor/vocab.txt"]["bytes"] == 1


def test_one_other_byte_gives_another_digest(saved: Path) -> None:
    before = inventory(saved)
    (saved / "notes.txt").write_text("anY")
    after = inventory(saved)

    assert before["files"]["notes.txt"] != after["files"]["notes.txt"]
    assert before["files"]["config.json"] == after["files"]["config.json"]


def test_one_other_bit_of_a_tensor_gives_another_fingerprint(saved: Path) -> None:
    before = inventory(saved)["tensors"]
    shard = saved / "model-00001-of-00002.safetensors"
    tensors = load_file(shard)
    tensors["a.weight"][1, 2] = torch.nextafter(tensors["a.weight"][1, 2], torch.tensor(9.0))
    save_file(tensors, shard)
    after = inventory(saved)["tensors"]

    assert [key for key in before if before[key] != after[key]] == ["a.weight"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}, id="order of keys"),
        pytest.param('{"a":1}', '{\n "a" : 1\n}\n', id="white space"),
        pytest.param({"target_modules": ["q", "v"]}, {"target_modules": ["v", "q"]}, id="order of a set"),
        pytest.param({"modules_to_save": ["a", "b"]}, {"modules_to_save": ["b", "a"]}, id="of another set"),
        pytest.param({"layers_to_transform": [10, 9]}, {"layers_to_transform": [9, 10]}, id="of numbers"),
        pytest.param(
            {"base_model_name_or_path": "/one/base"}, {"base_model_name_or_path": "/two/base"}, id="where the base lies"
        ),
    ],
)
def test_json_that_says_the_same_has_one_digest(tmp_path: Path, one: Any, other: Any) -> None:
    assert digest_of(tmp_path / "one", one) == digest_of(tmp_path / "two", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"a": 1}, {"a": 2}, id="value"),
        pytest.param({"a": [1, 2]}, {"a": [2, 1]}, id="order of a list"),
        pytest.param({"target_modules": ["q", "v"]}, {"target_modules": ["q"]}, id="members of a set"),
        pytest.param({"target_modules": "q"}, {"target_modules": ["q"]}, id="a word and a set"),
        pytest.param({"base_model_name_or_path": "/one/a"}, {"base_model_name_or_path": "/one/b"}, id="which base"),
        pytest.param("{", "{{", id="not JSON"),
    ],
)
def test_json_that_says_something_else_has_another_digest(tmp_path: Path, one: Any, other: Any) -> None:
    assert digest_of(tmp_path / "one", one) != digest_of(tmp_path / "two", other)


@pytest.mark.parametrize(("base", "same"), [("/two/base", True), ("/two/other", False)])
def test_where_the_base_lies_does_not_matter_in_model_cards_either(tmp_path: Path, base: str, same: bool) -> None:
    found = []
    for name, place in (("one", "/one/base"), ("other", base)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": place}))
        (tmp_path / name / "README.md").write_text(f"base_model: {place}\ntags: [base_model:adapter:{place}]\n")
        found.append(inventory(tmp_path / name)["files"]["README.md"])

    assert (found[0] == found[1]) is same


def test_text_is_digested_byte_by_byte(tmp_path: Path) -> None:
    assert digest_of(tmp_path / "one", {"a": 1}, "a.txt") != digest_of(tmp_path / "two", '{"a":1}', "a.txt")


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="none: no such directory; name a saved directory"):
        inventory(tmp_path / "none")


def test_roles_code_and_problems_are_listed(tmp_path: Path) -> None:
    with_code(tmp_path / "saved")
    (tmp_path / "saved" / "resampler.py").unlink()
    found = inventory(tmp_path / "saved")

    assert found["roles"]["processor"] == ["preprocessor_config.json"]
    assert found["code"] == {"named": sorted(CODE), "missing": ["resampler.py"]}
    (line,) = found["problems"]
    assert line.startswith("saved/resampler.py: is missing, and modeling_demo.py needs it; ")


def test_problems_do_not_depend_on_where_the_directory_lies(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (saved / "tokenizer_config.json").write_text("{")
    monkeypatch.chdir(saved)

    assert (
        inventory(saved)["problems"]
        == inventory(Path())["problems"]
        == ["saved/tokenizer_config.json: is damaged: it is no JSON object; save the model again"]
    )


def test_a_native_directory_has_its_tensors_listed_as_a_safetensors_one(tmp_path: Path) -> None:
    tensors = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2).bfloat16(), "c": torch.tensor(True)}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    torch.save(tensors, tmp_path / "one" / "model.pth")
    save_file(tensors, tmp_path / "two" / "model.safetensors")
    native, safe = (inventory(tmp_path / name) for name in ("one", "two"))

    for facts in (*native["tensors"].values(), *safe["tensors"].values()):
        assert facts.pop("file") in ("model.pth", "model.safetensors")
    assert native["tensors"] == safe["tensors"]
    assert native["files"]["model.pth"] == {"bytes": (tmp_path / "one" / "model.pth").stat().st_size, "pickled": True}


def test_beside_safetensors_native_files_are_listed_as_files_alone(saved: Path) -> None:
    torch.save({"a.weight": torch.zeros(1)}, saved / "old.pth")
    found = inventory(saved)

    assert found["tensors"]["a.weight"]["shape"] == [2, 3]
    assert sorted(found["files"]["old.pth"]) == ["bytes", "digest", "pickled"]


def test_a_native_file_that_cannot_be_read_is_a_problem_and_a_file(tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_bytes(b"no pickle")
    found = inventory(tmp_path)

    assert found["tensors"] == {}
    assert found["files"]["model.pth"]["pickled"] is True
    assert "model.pth: is damaged, or holds more than tensors" in " ".join(found["problems"])


def test_only_pickles_are_marked_as_such(saved: Path) -> None:
    torch.save({}, saved / "training_args.bin")

    assert [name for name, facts in inventory(saved)["files"].items() if "pickled" in facts] == ["training_args.bin"]


def test_a_truncated_shard_is_refused(saved: Path) -> None:
    shard = saved / "model-00001-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1])

    with pytest.raises(Refused, match=r"model-00001-of-00002\.safetensors: is damaged"):
        inventory(saved)


def test_weight_files_come_in_order(saved: Path) -> None:
    assert [path.name for path in weight_files(saved)] == [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ]


def test_fingerprints_under_every_dtype_are_those_of_the_loaded_tensor(saved: Path) -> None:
    found = fingerprints_by_dtype(saved)
    weight = torch.arange(6.0).reshape(2, 3)

    assert sorted(found) == ["a.bias", "a.weight", "b.weight", "empty"]
    assert found["a.weight"] == {
        "float32": as_hex(fingerprint(weight)),
        "bfloat16": as_hex(fingerprint(weight.bfloat16())),
        "float16": as_hex(fingerprint(weight.half())),
    }
