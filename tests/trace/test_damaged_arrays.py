"""Files that are no safetensors files, or no longer: refused in one line, never another exception."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.refusal import Refused
from harness.trace.arrays import read_arrays, read_header
from harness.trace.writer import write_safetensors

quick = settings(deadline=None, max_examples=60)


def file_of(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def one(**entry: Any) -> dict[str, Any]:
    return {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **entry}}


def refused(read: Callable[[Path], Any], path: Path) -> str:
    with pytest.raises(Refused) as caught:
        read(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    assert "; " in line
    return line


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("arrays") / "whole.safetensors"
    write_safetensors(path, {"a": torch.arange(5.0), "b": torch.ones(3, dtype=torch.bool)}, {"format": "pt"})
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "truncated or no safetensors file", id="empty"),
        pytest.param(b"\x02\0\0\0", "truncated or no safetensors file", id="half a length"),
        pytest.param(b"GIF89a" * 10, "truncated or no safetensors file", id="another format"),
        pytest.param(b"\xff" * 64, "truncated or no safetensors file", id="length beyond all bounds"),
        pytest.param(file_of(b"not JSON"), "header is corrupt", id="not JSON"),
        pytest.param(file_of(b"\xff\xfe{}"), "header is corrupt", id="not UTF-8"),
        pytest.param(file_of([1]), "header is corrupt", id="a list"),
        pytest.param(file_of({"a": 3}), "header is corrupt", id="an entry that is a number"),
        pytest.param(file_of({"a": {"dtype": "F32"}}), "header is corrupt", id="no offsets"),
        pytest.param(file_of(one(data_offsets=[0])), "header is corrupt", id="one offset"),
        pytest.param(file_of(one(), bytes(7)), "7 bytes of data, its header says 8", id="a byte short"),
        pytest.param(file_of(one(), bytes(9)), "9 bytes of data, its header says 8", id="a byte too many"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a").write_bytes(content)

    assert said in refused(read_header, tmp_path / "a")
    assert said in refused(read_arrays, tmp_path / "a")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(file_of(one(shape=[3]), bytes(8)), id="shape and data disagree"),
        pytest.param(file_of(one(dtype="F33"), bytes(8)), id="no such dtype"),
        pytest.param(file_of({"a": {"shape": [2], "data_offsets": [0, 8]}}, bytes(8)), id="no dtype"),
        pytest.param(file_of(one(data_offsets=[-8, 8]), bytes(8)), id="negative offset"),
        pytest.param(file_of({**one(), "b": one()["a"]}, bytes(8)), id="two tensors in one place"),
        pytest.param(file_of(one(shape=[-2], data_offsets=[0, 8]), bytes(8)), id="negative length"),
        pytest.param(file_of(one(shape=[2.0]), bytes(8)), id="length with a fraction"),
        pytest.param(file_of(one(shape="2"), bytes(8)), id="shape is a word"),
        pytest.param(file_of(one(dtype=["F32"]), bytes(8)), id="dtype is a list"),
        pytest.param(file_of(one(data_offsets=[0.0, 8.0]), bytes(8)), id="offset with a fraction"),
        pytest.param(file_of(one(data_offsets=[8, 16]), bytes(16)), id="gap before a tensor"),
        pytest.param(file_of(one(dtype="F6_E2M3", shape=[3], data_offsets=[0, 2]), bytes(2)), id="half a byte"),
        pytest.param(file_of({**one(), "__metadata__": {"format": 3}}, bytes(8)), id="metadata that is no text"),
        pytest.param(file_of({**one(), "__metadata__": []}, bytes(8)), id="metadata that is a list"),
        pytest.param(file_of(one(shape=[2**64, 0], data_offsets=[0, 0])), id="length beyond all bounds"),
        pytest.param(file_of(b"[" * 100_000), id="nested too deep"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)

    assert "is damaged" in refused(read_header, tmp_path / "a")


@pytest.mark.parametrize(
    ("dtype", "data", "values"),
    [
        pytest.param("F8_E4M3", b"\x38\xb8", [0x38, 0xB8], id="8-bit floats as their bits"),
        pytest.param("U16", b"\x01\x00\xff\xff", [1, 65535], id="U16"),
        pytest.param("U64", b"\x01" + bytes(7) + b"\xff" * 8, [1, 2**64 - 1], id="U64"),
        pytest.param("C64", b"\x00\x00\x80\x3f" * 2 + bytes(8), [1 + 1j, 0], id="C64"),
    ],
)
def test_rarer_dtypes_are_read(tmp_path: Path, dtype: str, data: bytes, values: list[complex]) -> None:
    (tmp_path / "a").write_bytes(file_of(one(dtype=dtype, data_offsets=[0, len(data)]), data))

    assert read_arrays(tmp_path / "a")["a"].tolist() == values


@pytest.mark.parametrize(("dtype", "size"), [("F4", 4), ("F6_E3M2", 6)])
def test_a_dtype_that_numpy_has_not_is_refused_by_its_name(tmp_path: Path, dtype: str, size: int) -> None:
    (tmp_path / "a").write_bytes(file_of(one(dtype=dtype, shape=[8], data_offsets=[0, size]), bytes(size)))

    assert dtype in refused(read_arrays, tmp_path / "a")
    assert read_header(tmp_path / "a")["a"]["shape"] == [8]


def test_more_dimensions_than_numpy_has_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(file_of(one(shape=[2] + [1] * 99), bytes(8)))

    assert "100 dimensions, which numpy cannot hold" in refused(read_arrays, tmp_path / "a")


@pytest.mark.parametrize("read", [read_header, read_arrays], ids=["header", "arrays"])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    assert "cannot be read: No such file" in refused(read, tmp_path / "none")
    assert "cannot be read: Is a directory" in refused(read, tmp_path)


@quick
@given(data=st.data())
def test_every_truncation_is_refused(whole: Path, data: st.DataObject) -> None:
    content = whole.read_bytes()
    cut = whole.with_name("cut.safetensors")
    cut.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])

    assert "is damaged" in refused(read_header, cut)
    assert "is damaged" in refused(read_arrays, cut)


@quick
@given(extra=st.binary(min_size=1, max_size=9))
def test_every_extension_is_refused(whole: Path, extra: bytes) -> None:
    longer = whole.with_name("longer.safetensors")
    longer.write_bytes(whole.read_bytes() + extra)

    assert "is damaged" in refused(read_header, longer)


@quick
@given(content=st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(file_of)))
def test_garbage_is_refused_or_holds_nothing(whole: Path, content: bytes) -> None:
    path = whole.with_name("garbage.safetensors")
    path.write_bytes(content)

    header = None
    with contextlib.suppress(Refused):
        header = read_header(path)
    assert header in (None, {})


def test_a_whole_file_is_read(whole: Path) -> None:
    assert sorted(read_header(whole)) == ["__metadata__", "a", "b"]
    assert read_arrays(whole)["a"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
