"""A base and a tuned part become one directory, tensor by tensor, or one line says why not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.checkpoint.composing import component_of, compose
from harness.checkpoint.files import TRAINED
from harness.checkpoint.inspecting import inspect
from harness.refusal import Refused
from harness.trace.writer import write_safetensors
from tests.checkpoint.inspecting.conftest import Whole, all_tensors, in_shard, key_of

PART = {"vision": "vision", "connector": "multi_modal_projector", "language": "language_model"}


def tuned(base: Path, place: Path) -> Path:
    """The whole model, trained everywhere."""
    directory = Path(shutil.copytree(base, place))
    for path in directory.glob("*.safetensors"):
        in_shard(directory, min(all_in(path)), lambda t: t.update({k: v + 1 for k, v in t.items()}))
    return directory


def all_in(path: Path) -> list[str]:
    from safetensors.torch import load_file

    return list(load_file(path))


@pytest.mark.parametrize(
    ("component", "kind"),
    [("vision", "whole"), ("vision", "other names"), ("connector", "native"), ("language", "part")],
)
def test_what_was_tuned_comes_from_the_save_and_the_rest_from_the_base(
    component: str, kind: str, whole: Whole, tmp_path: Path
) -> None:
    base = whole.base("llava")
    other = tuned(base, tmp_path / "tuned")
    new, old = all_tensors(other), all_tensors(base)
    if kind != "whole":
        shutil.rmtree(other)
        other.mkdir()
        part = {key: tensor for key, tensor in new.items() if PART[component] in key}
        if kind == "native":
            torch.save(part, other / "model.pth")
        else:
            spelled = (lambda key: key.replace("vision_model.", "")) if kind == "other names" else str
            write_safetensors(other / TRAINED, {spelled(key): tensor for key, tensor in part.items()})
    done = compose(base, other, component, tmp_path / "out")
    found = all_tensors(tmp_path / "out")

    assert found.keys() == old.keys()
    for key, tensor in found.items():
        assert torch.equal(tensor, new[key] if PART[component] in key else old[key]), key
    assert set(done.taken) == {key for key in old if PART[component] in key}
    assert sorted([*done.taken, *done.kept]) == sorted(old)
    assert inspect(tmp_path / "out", base).findings == ()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in base.iterdir()}


def other_shape(directory: Path) -> None:
    key = key_of(directory, "layer_norm1.bias")
    in_shard(directory, key, lambda t: t.update({key: t[key][:-1].clone()}))


def other_dtype(directory: Path) -> None:
    key = key_of(directory, "layer_norm1.bias")
    in_shard(directory, key, lambda t: t.update({key: t[key].half()}))


def a_stranger(directory: Path) -> None:
    key = key_of(directory, "layer_norm1.bias")
    in_shard(directory, key, lambda t: t.update({f"{key}s": t[key].clone()}))


def nothing_of_it(directory: Path) -> None:
    for path in directory.glob("*.safetensors"):
        path.unlink()
    write_safetensors(directory / TRAINED, {"multi_modal_projector.linear_1.bias": torch.zeros(64)})


def cut(directory: Path) -> None:
    path = min(directory.glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (other_shape, "is 63, and 64 in"),
        (other_dtype, "is in F16, and in F32 in"),
        (a_stranger, "1 tensor of vision that"),
        (nothing_of_it, "holds no tensors of vision, but of connector"),
        (cut, "is damaged"),
    ],
)
def test_what_does_not_match_is_one_line_and_nothing_is_written(
    damage: Callable[[Path], Any], said: str, whole: Whole, tmp_path: Path
) -> None:
    base = whole.base("llava")
    other = Path(shutil.copytree(base, tmp_path / "tuned"))
    damage(other)

    with pytest.raises(Refused, match=said) as refused:
        compose(base, other, "vision", tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["tuned"]


def test_where_something_lies_nothing_is_written(whole: Whole, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    with pytest.raises(Refused, match="there is something already"):
        compose(whole.base("llava"), whole.base("llava"), "vision", tmp_path / "out")


@pytest.mark.parametrize(
    ("key", "component"),
    [
        ("vpm.encoder.layers.0.mlp.fc1.weight", "vision"),
        ("resampler.query", "connector"),
        ("model.mm_projector.0.weight", "connector"),
        ("model.vision_tower_aux.vision_stages.0.weight", "vision"),
        ("model.vlm_uni_query_projector.0.weight", "connector"),
        ("visual.merger.mlp.0.weight", "connector"),
        ("visual.blocks.0.attn.qkv.weight", "vision"),
        ("llm.model.layers.0.self_attn.q_proj.weight", "language"),
        ("lm_head.weight", "language"),
    ],
)
def test_components_go_by_the_names_that_systems_give_them(key: str, component: str) -> None:
    assert component_of(key) == component


def test_the_command_says_what_came_from_where(
    whole: Whole, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from harness.cli.main import status_of

    base, other = whole.base("llava"), tuned(whole.base("llava"), tmp_path / "tuned")
    out = tmp_path / "out"
    capsys.readouterr()

    arguments = ["inspect", str(base), "--with-vision-from", str(other), "--out", str(out)]
    assert status_of(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    number = sum("vision" in key for key in all_tensors(base))
    assert f"vision     {number} tensors  from the tuned save" in lines
    assert f"{out}: composed" in lines
    assert status_of([*arguments[:-1], str(tmp_path / "again"), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["composed"]["component"] == "vision"
    assert len(record["composed"]["taken"]) == number
