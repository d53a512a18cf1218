"""Streams and arrays as they are written, and read by others."""

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file

from harness.trace.arrays import read_arrays, read_header
from harness.trace.writer import StreamWriter, encoded, write_safetensors

TENSORS = {
    "float64": torch.tensor([[1.5, -0.0], [math.inf, 1e-300]], dtype=torch.float64),
    "float32": torch.arange(6.0).reshape(2, 3),
    "float16": torch.tensor([0.1, 65504.0]).half(),
    "bfloat16": torch.tensor([0.1, -3.0e38]).bfloat16(),
    "int64": torch.tensor([-(2**63), 2**63 - 1]),
    "int32": torch.tensor([7], dtype=torch.int32),
    "int16": torch.tensor([-7], dtype=torch.int16),
    "int8": torch.tensor([-128], dtype=torch.int8),
    "uint8": torch.tensor([255], dtype=torch.uint8),
    "bool": torch.tensor([True, False]),
    "scalar": torch.tensor(3.0),
    "empty": torch.empty(0, 4),
    "transposed": torch.arange(6).reshape(2, 3).T,
}


def equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)


def test_records_are_lines_in_the_order_they_were_emitted(tmp_path: Path) -> None:
    stream = StreamWriter(tmp_path / "rank-0")
    stream.emit("forward", step=0, loss=1.5)
    stream.emit("stage", stage="Ünïcode\nin a line")
    stream.close()

    lines = (tmp_path / "rank-0" / "events.jsonl").read_text(encoding="ascii").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"kind": "forward", "step": 0, "loss": 1.5},
        {"kind": "stage", "stage": "Ünïcode\nin a line"},
    ]


def test_what_was_flushed_is_there_while_the_stream_is_open(tmp_path: Path) -> None:
    stream = StreamWriter(tmp_path)
    stream.emit("closing")
    before = (tmp_path / "events.jsonl").read_text()
    stream.flush()

    assert (before, (tmp_path / "events.jsonl").read_text()) == ("", '{"kind":"closing"}\n')
    stream.close()


def test_array_files_are_numbered(tmp_path: Path) -> None:
    stream = StreamWriter(tmp_path)

    names = [stream.arrays({"a": torch.tensor([number])}) for number in range(2)]

    assert names == ["arrays-000.safetensors", "arrays-001.safetensors"]
    assert [int(read_arrays(tmp_path / name)["a"][0]) for name in names] == [0, 1]
    stream.close()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param(math.nan, "nan", id="nan"),
        pytest.param(math.inf, "inf", id="inf"),
        pytest.param(-math.inf, "-inf", id="minus inf"),
        pytest.param([0.5, math.nan], [0.5, "nan"], id="in a list"),
        pytest.param((1, -math.inf), [1, "-inf"], id="in a tuple"),
        pytest.param({"a": {"b": [math.inf]}}, {"a": {"b": ["inf"]}}, id="deep"),
        pytest.param([0.1, None, True, "nan", 2**70], [0.1, None, True, "nan", 2**70], id="nothing to do"),
    ],
)
def test_floats_that_json_cannot_hold_become_words(value: Any, written: Any) -> None:
    line = encoded({"kind": "x", "value": value})

    assert json.loads(line, parse_constant=pytest.fail) == {"kind": "x", "value": written}
    assert "\n" not in line


FLOAT32 = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(st.lists(st.one_of(st.none(), FLOAT32), min_size=2, max_size=9))
def test_a_column_of_floats_keeps_what_float32_can_tell_apart(column: list[float | None]) -> None:
    read = json.loads(encoded({"column": column}))["column"]

    assert [None if item is None else struct.unpack("f", struct.pack("f", item))[0] for item in read] == column


def test_a_column_of_floats_and_words_is_read_back() -> None:
    assert json.loads(encoded({"column": [0.5, math.inf, None]})) == {"column": [0.5, "inf", None]}
    assert json.loads(encoded({"column": [None, None], "numbers": [1, 0.1]})) == {
        "column": [None] * 2,
        "numbers": [1, 0.1],
    }


def test_words_of_floats_read_back_as_floats() -> None:
    words = json.loads(encoded({"v": [math.nan, math.inf, -math.inf]}))["v"]

    assert [str(float(word)) for word in words] == ["nan", "inf", "-inf"]


@pytest.mark.parametrize("name", TENSORS)
def test_the_library_reads_what_was_written(tmp_path: Path, name: str) -> None:
    write_safetensors(tmp_path / "a.safetensors", {"before": torch.zeros(3), name: TENSORS[name]})

    assert equal(load_file(tmp_path / "a.safetensors")[name], TENSORS[name].contiguous())


@pytest.mark.parametrize("name", TENSORS)
def test_numpy_reads_what_was_written(tmp_path: Path, name: str) -> None:
    write_safetensors(tmp_path / "a.safetensors", {"before": torch.zeros(1), name: TENSORS[name]})

    read = read_arrays(tmp_path / "a.safetensors")[name]
    tensor = TENSORS[name]
    expected = tensor.float().numpy() if tensor.dtype is torch.bfloat16 else tensor.numpy()
    assert read.dtype == expected.dtype
    assert read.shape == expected.shape
    assert read.tobytes() == np.ascontiguousarray(expected).tobytes()


def test_metadata_reaches_the_library(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "a.safetensors", TENSORS, metadata={"format": "pt"})

    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert sorted(file.keys()) == sorted(TENSORS)
    assert set(read_header(tmp_path / "a.safetensors")) == {"__metadata__", *TENSORS}
    assert set(read_arrays(tmp_path / "a.safetensors")) == set(TENSORS)


def test_the_same_tensors_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_safetensors(tmp_path / name, {key: tensor.clone() for key, tensor in TENSORS.items()}, {"format": "pt"})

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_data_begins_at_a_multiple_of_eight(tmp_path: Path) -> None:
    for length in range(1, 10):
        write_safetensors(tmp_path / "a", {"x" * length: torch.zeros(1)})

        assert int.from_bytes((tmp_path / "a").read_bytes()[:8], "little") % 8 == 0


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "a", {"x": torch.zeros(1)})
    before = (tmp_path / "a").read_bytes()

    with pytest.raises(KeyError):
        write_safetensors(tmp_path / "a", {"x": torch.zeros(1, dtype=torch.complex64)})

    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == before
