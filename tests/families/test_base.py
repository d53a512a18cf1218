"""Weights follow from their published keys; the base directory holds them in shards, the same every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from harness.families.weights import filled, write_sharded
from harness.recipe import Recipe
from harness.trace.fingerprint import fingerprint

SHAPES = {"a.weight": (6, 4), "a.bias": (6,), "b.norm.weight": (6,), "c.weight": (3, 2, 2, 2), "d.weight": (9, 9)}


def tensors_of(directory: Path) -> dict[str, torch.Tensor]:
    return {key: tensor for path in directory.glob("*.safetensors") for key, tensor in load_file(path).items()}


def test_values_follow_from_the_key_alone() -> None:
    first = {key: filled(key, shape) for key, shape in SHAPES.items()}
    torch.manual_seed(7)
    second = {key: filled(key, shape) for key, shape in reversed(SHAPES.items())}

    assert all(torch.equal(first[key], second[key]) for key in SHAPES)


def test_other_keys_have_other_values() -> None:
    shape = (8, 8)
    values = [filled(f"layers.{layer}.{name}.weight", shape) for layer in range(20) for name in "qkvo"]

    assert len({fingerprint(value) for value in values}) == len(values)
    # Independent, not merely different: correlations of 64 elements deviate by 1/8, and 3160 of them stay within 5/8.
    correlations = torch.corrcoef(torch.stack([value.flatten() for value in values])) - torch.eye(len(values))
    assert correlations.abs().max() < 5 / 8


def test_no_two_tensors_of_the_base_are_alike(base: Path) -> None:
    """Not even of one shape: a tensor that lands under the wrong key shows."""
    tensors = tensors_of(base)

    assert len({fingerprint(tensor) for tensor in tensors.values()}) == len(tensors)
    assert len({tuple(tensor.shape) for tensor in tensors.values()}) < len(tensors) / 2


@pytest.mark.parametrize(("key", "mean"), [("x.layer_norm1.weight", 1), ("x.norm.bias", 0), ("x.fc1.bias", 0)])
def test_vectors_lie_around_one_or_zero_and_vary(key: str, mean: int) -> None:
    values = filled(key, (4096,))

    assert abs(values.mean() - mean) < 0.005
    assert 0 < (values - mean).abs().max() <= 0.05 + 1e-6


@pytest.mark.parametrize("shape", [(256, 64), (64, 3, 14, 14)])
def test_matrices_keep_the_variance_of_what_passes_through(shape: tuple[int, ...]) -> None:
    values = filled("x.weight", shape)

    inputs = values[0].numel()
    assert abs(values.var() * inputs - 1) < 0.05
    assert abs(values.mean()) * inputs**0.5 < 0.05


def test_shards_do_not_depend_on_the_order_of_the_keys(tmp_path: Path) -> None:
    for name, shapes in (("first", SHAPES), ("second", dict(reversed(SHAPES.items())))):
        (tmp_path / name).mkdir()
        write_sharded(tmp_path / name, shapes)

    assert contents(tmp_path / "first") == contents(tmp_path / "second")


def test_the_index_promises_each_key_once_and_the_bytes_there_are(base: Path) -> None:
    index = json.loads((base / "model.safetensors.index.json").read_text())
    shards = {path.name: load_file(path) for path in base.glob("*.safetensors")}

    assert index["weight_map"] == {key: name for name, tensors in shards.items() for key in tensors}
    assert sum(len(tensors) for tensors in shards.values()) == len(index["weight_map"])
    assert index["metadata"]["total_size"] == sum(t.nbytes for tensors in shards.values() for t in tensors.values())


def test_the_base_has_three_shards_or_more_each_with_its_share(base: Path) -> None:
    sizes = [path.stat().st_size for path in base.glob("*.safetensors")]

    assert len(sizes) >= 3
    assert max(sizes) < 2 * min(sizes)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_what_was_written_arrives_under_its_key(llava: Any, base: Path, dtype: torch.dtype) -> None:
    from transformers import LlavaForConditionalGeneration

    model, report = LlavaForConditionalGeneration.from_pretrained(base, dtype=dtype, output_loading_info=True)

    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    arrived = {llava.naming.canonical(path): fingerprint(value) for path, value in model.state_dict().items()}
    assert arrived == {key: fingerprint(tensor.to(dtype)) for key, tensor in tensors_of(base).items()}
    assert arrived == {key: fingerprint(filled(key, t.shape).to(dtype)) for key, t in tensors_of(base).items()}


def contents(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def test_the_base_is_the_same_bytes_in_another_process(base: Path, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\nfrom harness.families import family\n"
        "family('llava-1.5-7b').write_base(pathlib.Path(sys.argv[1]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4", "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert contents(tmp_path) == contents(base)


def reached(model: Any, batches: Iterable[dict[str, torch.Tensor]]) -> set[str]:
    """The parameters that get a gradient other than zero."""
    for batch in batches:
        model(**batch).loss.backward()
    return {path for path, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())}


@pytest.mark.parametrize("kinds", [("image", "text", "blank", "several"), ("text",)], ids=["images", "text alone"])
def test_a_gradient_reaches_exactly_what_the_intent_says(
    llava: Any, base: Path, of_each_kind: dict[str, Any], kinds: tuple[str, ...]
) -> None:
    loaded = llava.load(base, torch.float32)
    encoded = [llava.encode(of_each_kind[kind], loaded.processor, 2048) for kind in kinds]
    intent = llava.intent(Recipe.model_validate({"family": llava.name, "tune": "all", "data": {"mix": kinds}}))

    got = reached(loaded.model, [llava.collate([one], loaded.processor) for one in encoded])

    canonical = {path: llava.naming.canonical(path) for path, _ in loaded.model.named_parameters()}
    assert got == {path for path, key in canonical.items() if intent.reaches(key)}
