"""A directory whose auto_map names code: it does not run for who does not trust it, and is a family for who does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness import stack
from harness.families import family
from harness.families.possible import check_possible
from harness.planning import family_plan
from harness.recipe import Recipe
from harness.refusal import Refused

pytestmark = pytest.mark.skipif(stack.release("transformers") < (5, 0), reason="the table is of transformers 5")
CODE = {
    "configuration_own.py": """
        import pathlib
        from transformers import LlavaConfig

        pathlib.Path({ran!r}).touch()


        class OwnConfig(LlavaConfig):
            model_type = "own_llava"
        """,
    "modeling_own.py": """
        from transformers import LlavaForConditionalGeneration

        from .configuration_own import OwnConfig


        class OwnForConditionalGeneration(LlavaForConditionalGeneration):
            config: OwnConfig
            config_class = OwnConfig
        """,
}
CONFIG = {
    "model_type": "own_llava",
    "auto_map": {
        "AutoConfig": "configuration_own.OwnConfig",
        "AutoModelForImageTextToText": "modeling_own.OwnForConditionalGeneration",
    },
    "text_config": {"model_type": "llama", "num_hidden_layers": 3, "vocab_size": 32064},
    "vision_config": {"model_type": "siglip_vision_model", "image_size": 56, "patch_size": 14},
    "vision_feature_select_strategy": "full",
}
PROCESSOR = {"processor_class": "LlavaProcessor", "image_processor": {"image_processor_type": "CLIPImageProcessor"}}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from textwrap import dedent

    stack.use_modules_cache(tmp_path / "modules")
    place = tmp_path / "own"
    place.mkdir()
    for name, text in CODE.items():
        (place / name).write_text(dedent(text.replace("{ran!r}", repr(str(tmp_path / "ran")))), encoding="utf-8")
    (place / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    (place / "processor_config.json").write_text(json.dumps(PROCESSOR), encoding="utf-8")
    return place


def test_without_trust_it_is_refused_and_nothing_of_it_has_run(place: Path) -> None:
    for ask in (
        lambda: check_possible(Recipe(family=f"path:{place}", tune=["llm"])),
        lambda: family_plan(f"path:{place}", "full"),
    ):
        with pytest.raises(Refused, match="comes as code files in its directory, and they would run"):
            ask()
    assert not (place.parent / "ran").exists()


def test_with_trust_it_is_counted_written_and_loaded_by_a_stranger(place: Path, tmp_path: Path) -> None:
    import transformers

    name = f"path:{place}"
    check_possible(Recipe(family=name, tune=["llm"], trust_remote_code=True))
    assert (place.parent / "ran").exists()
    plan = family_plan(name, "full", trusted=True)
    assert plan["components"]["embeddings"] == 32064 * 4096
    chosen: Any = family(name)
    chosen.write_base(tmp_path / "tiny")
    kind = stack.auto_class(tmp_path / "tiny", trust_remote_code=True)
    model = kind.from_pretrained(tmp_path / "tiny", trust_remote_code=True)
    assert type(model).__name__ == "OwnForConditionalGeneration"
    processor = transformers.AutoProcessor.from_pretrained(tmp_path / "tiny")
    assert type(processor).__name__ == "LlavaProcessor"


def test_a_type_that_the_library_has_needs_no_code_of_its_directory(place: Path) -> None:
    (place / "config.json").write_text(json.dumps({**CONFIG, "model_type": "llava"}), encoding="utf-8")
    check_possible(Recipe(family=f"path:{place}", tune=["llm"]))
    assert not (place.parent / "ran").exists()
