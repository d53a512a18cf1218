"""Towers made anew from directories of their own: found by their whole path, of the checkpoint's shapes, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from harness.checkpoint.towers import Tower, use_own_towers, write_tower
from harness.refusal import Refused

CLIP = Tower(
    component="vision",
    setting="mm_vision_tower",
    kept="unfreeze_mm_vision_tower",
    module=r"vision_tower$",
    file="model.safetensors",
    renames=((r"^(?:vision_model\.)?", "vision_model."),),
)
AUX = Tower(
    component="vision_aux",
    setting="mm_vision_tower_aux",
    kept="optimize_vision_tower_aux",
    module=r"vision_tower_aux$",
    file="open_clip_pytorch_model.bin",
    renames=((r"^0\.", "visual.trunk.stem.0."),),
)


class Config:
    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.vision_config = {"image_size": 336}

    def to_dict(self) -> dict[str, Any]:
        return self.settings


class Model(nn.Module):
    def __init__(self, value: float, positions: int = 5, **settings: Any) -> None:
        super().__init__()
        self.vision_tower = nn.Embedding(positions, 2)
        self.vision_tower_aux = nn.Sequential(nn.Linear(2, 2))
        self.config = Config(**settings)
        for parameter in self.parameters():
            parameter.data.fill_(value)


@pytest.mark.parametrize("tower", [CLIP, AUX], ids=lambda tower: tower.setting)
def test_a_tower_comes_from_its_own_directory_and_the_model_s_weights_are_unused(tmp_path: Path, tower: Tower) -> None:
    write_tower(Model(1.0), tower, tmp_path)
    model = Model(0.0, **{tower.setting: str(tmp_path)})

    (said,) = use_own_towers(model, [CLIP, AUX])

    module = model.get_submodule(tower.module.removesuffix("$"))
    names = [f"{tower.module.removesuffix('$')}.{name}" for name in module.state_dict()]
    assert said == {"setting": tower.setting, "directory": tmp_path.name, "unused": names}
    assert {float(value) for tensor in module.state_dict().values() for value in tensor.flatten()} == {1.0}
    assert sum(float(p.detach().sum()) for p in model.parameters()) == sum(p.numel() for p in module.parameters())


def test_the_keys_in_its_file_are_those_it_is_published_under(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    write_tower(Model(1.0), CLIP, tmp_path / "clip")
    write_tower(Model(1.0), AUX, tmp_path / "aux")

    aux = torch.load(tmp_path / "aux" / "open_clip_pytorch_model.bin", weights_only=True)
    assert set(load_file(tmp_path / "clip" / "model.safetensors")) == {"vision_model.weight"}
    assert set(aux) == {"visual.trunk.stem.0.weight", "visual.trunk.stem.0.bias"}
    assert json.loads((tmp_path / "clip" / "config.json").read_text()) == {"image_size": 336}


def test_a_tower_that_has_trained_is_kept_where_the_configuration_says_so(tmp_path: Path) -> None:
    write_tower(Model(1.0), CLIP, tmp_path)
    model = Model(2.0, mm_vision_tower=str(tmp_path), unfreeze_mm_vision_tower=True)

    (said,) = use_own_towers(model, [CLIP])

    assert said["unused"] == []
    assert float(model.vision_tower.weight.detach()[0, 0]) == 2.0


def test_a_model_whose_configuration_names_none_is_left_alone() -> None:
    assert use_own_towers(Model(0.0), [CLIP, AUX]) == []


def test_what_the_loader_knows_better_than_the_configuration_counts(tmp_path: Path) -> None:
    write_tower(Model(1.0), CLIP, tmp_path)
    model = Model(0.0, mm_vision_tower="gone")

    (said,) = use_own_towers(model, [CLIP], {"mm_vision_tower": str(tmp_path)})

    assert said["directory"] == tmp_path.name


def test_no_such_directory_is_refused_with_the_whole_path_that_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(Refused) as refused:
        use_own_towers(Model(0.0, mm_vision_tower="model_zoo/clip"), [CLIP])

    assert str(refused.value).startswith(f"{tmp_path}/model_zoo/clip: mm_vision_tower: no such directory; name ")


def test_a_directory_without_the_tower_s_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"mm_vision_tower: no model\.safetensors there"):
        use_own_towers(Model(0.0, mm_vision_tower=str(tmp_path)), [CLIP])


def test_a_tower_for_pictures_of_another_size_is_refused_by_both_shapes(tmp_path: Path) -> None:
    write_tower(Model(1.0, positions=257), CLIP, tmp_path)

    with pytest.raises(Refused) as refused:
        use_own_towers(Model(0.0, positions=577, mm_vision_tower=str(tmp_path)), [CLIP])

    assert "vision_model.weight is 257 x 2, and 577 x 2 in the checkpoint" in str(refused.value)


def test_a_tower_of_another_kind_is_refused(tmp_path: Path) -> None:
    other = Model(0.0)
    other.vision_tower = nn.Linear(2, 5)  # type: ignore[assignment]
    write_tower(Model(0.0), CLIP, tmp_path)
    other.config = SimpleNamespace(to_dict=lambda: {"mm_vision_tower": str(tmp_path)})  # type: ignore[assignment]

    with pytest.raises(Refused, match=r"it has no vision_model\.bias"):
        use_own_towers(other, [CLIP])
