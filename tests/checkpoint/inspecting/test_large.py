"""A model of 70 billion parameters is judged by its headers: in little memory, and without a library."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.inspecting import measured
from benchmarks.large_directory import shapes, write_large
from harness.checkpoint.inspecting import inspect
from harness.checkpoint.inspecting.layouts import closed_form

MEGABYTES = 300  # 81 were seen; torch alone would take more, and one tensor of an embedding 2000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_large(tmp_path_factory.mktemp("large") / "saved")


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_headers_alone_are_read(large: Path, more: list[str]) -> None:
    _, megabytes = measured(["inspect", str(large), *more])

    assert megabytes < MEGABYTES


def test_it_is_as_large_as_it_should_be(large: Path) -> None:
    assert sum(path.stat().st_size for path in large.glob("*.safetensors")) > 141e9
    assert closed_form(json.loads((large / "config.json").read_text())) == shapes()
    assert sum(rows * (more[0] if more else 1) for rows, *more in shapes().values()) == 70_553_706_496


def test_a_layer_more_in_its_configuration_is_seen(large: Path) -> None:
    config = large / "config.json"
    before = config.read_text()
    config.write_text(before.replace('"num_hidden_layers": 80', '"num_hidden_layers": 81'))
    try:
        found = {(name, finding.kind) for name, finding in inspect(large).findings}
    finally:
        config.write_text(before)

    assert found == {("inspect.keys", "KeysMissing"), ("inspect.configuration", "ConfigurationDiffers")}
