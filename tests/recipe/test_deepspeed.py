"""What recipes say to DeepSpeed, and what reaches it. None of this needs DeepSpeed itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.engines.deepspeed_config import deepspeed_config
from harness.recipe import Recipe, read_suite
from harness.recipe.deepspeed import DeepSpeed
from harness.refusal import Refused
from harness.running.session import check_buildable

SUITES = Path(__file__).parents[2] / "suites" / "deepspeed"
HIDDEN = 8


def recipe(**settings: Any) -> Recipe:
    return Recipe.model_validate({"family": "llava-1.5-7b", "tune": "connector", "engine": "deepspeed", **settings})


def at(tmp_path: Path, **sections: Any) -> dict[str, Any]:
    (tmp_path / "c.json").write_text(json.dumps(sections), encoding="utf-8")
    return {"config": str(tmp_path / "c.json")}


def test_what_is_not_installed_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.running.session.has", lambda library: False)

    with pytest.raises(Refused, match="engine deepspeed is not installed") as refused:
        check_buildable(read_suite(SUITES / "zero.yaml"))

    assert "--no-build-isolation deepspeed" in refused.value.do


@pytest.mark.parametrize("suite", sorted(SUITES.glob("[!k]*.yaml")), ids=lambda path: path.stem)
def test_shipped_suites_are_read_without_it(suite: Path) -> None:
    assert all(one.engine == "deepspeed" and one.deepspeed.asked() for one in read_suite(suite).recipes.values())


def test_parameters_are_not_offloaded_below_stage_3_whatever_a_file_says() -> None:
    asked = DeepSpeed(config=str(SUITES / "configurations" / "zero2_offload.json")).asked()

    assert (asked.stage, asked.offload_optimizer, asked.offload_parameters) == (2, True, False)


def test_a_recipe_partitions_what_is_tiny() -> None:
    config = deepspeed_config(recipe(deepspeed={"stage": 3}, processes=2), HIDDEN)

    assert config["zero_optimization"]["stage3_param_persistence_threshold"] == 0
    assert config["train_batch_size"] == 4
    assert config["gradient_clipping"] == 1.0


def test_auto_is_filled_in_as_the_trainer_does(tmp_path: Path) -> None:
    zero = {"stage": 3, "reduce_bucket_size": "auto", "stage3_param_persistence_threshold": "auto"}
    file = at(
        tmp_path,
        zero_optimization=zero,
        optimizer={"type": "AdamW", "params": {"lr": "auto", "weight_decay": 0.5}},
        scheduler={"type": "WarmupLR", "params": {"warmup_max_lr": "auto", "warmup_num_steps": "auto"}},
        bf16={"enabled": "auto"},
        gradient_clipping="auto",
    )
    asked = {"learning_rate": 0.25, "weight_decay": 0.125, "clip_norm": 0.5}

    config = deepspeed_config(recipe(deepspeed=file, optimizer=asked, precision="pure-bf16"), HIDDEN)

    assert config["zero_optimization"] == {
        "stage": 3,
        "reduce_bucket_size": 64,
        "stage3_param_persistence_threshold": 80,
    }
    assert config["optimizer"]["params"] == {"lr": 0.25, "weight_decay": 0.5, "torch_adam": True}
    assert config["scheduler"]["params"] == {"warmup_max_lr": 0.25, "warmup_num_steps": 1}
    assert config["bf16"] == {"enabled": True}
    assert config["gradient_clipping"] == 0.5


def test_what_a_file_does_not_mention_stays_unmentioned(tmp_path: Path) -> None:
    config = deepspeed_config(recipe(deepspeed=at(tmp_path, zero_optimization={"stage": 2})), HIDDEN)

    assert "gradient_clipping" not in config
    assert "torch_autocast" not in config


def test_autocast_is_deepspeeds_own() -> None:
    assert deepspeed_config(recipe(precision="bf16"), HIDDEN)["torch_autocast"] == {
        "enabled": True,
        "dtype": "bfloat16",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("{", "is no JSON", id="cut off"),
        pytest.param("[]", "holds no object", id="a list"),
        pytest.param('{"zero_optimization": {"stage": 4}}', "stage is 4", id="no such stage"),
    ],
)
def test_a_file_that_is_none_is_refused_when_the_suite_is_read(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "c.json").write_text(text, encoding="utf-8")
    (tmp_path / "s.yaml").write_text(
        "family: llava-1.5-7b\nrecipes:\n  r: {tune: connector, engine: deepspeed, deepspeed: {config: c.json}}\n"
    )

    with pytest.raises(Refused, match=said):
        read_suite(tmp_path / "s.yaml")


def test_a_file_that_is_not_there_is_refused_when_the_suite_is_read(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "family: llava-1.5-7b\nrecipes:\n  r: {tune: connector, engine: deepspeed, deepspeed: {config: c.json}}\n"
    )

    with pytest.raises(Refused, match=r"deepspeed\.config: no file"):
        read_suite(tmp_path / "s.yaml")
