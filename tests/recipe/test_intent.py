"""An intent read from outside: its patterns are held to be patterns before anything is judged by them."""

from typing import Any

import pytest
from pydantic import ValidationError

from harness.intent import Intent
from harness.recipe.suite import refusal_of


def refusal(settings: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        Intent.model_validate(settings)
    line = str(refusal_of(caught.value, "intent.yaml"))
    assert "\n" not in line
    return line.removeprefix("intent.yaml: ")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({"trains": ["a", "("]}, "trains.1: '(' is not a regular expression", id="trains"),
        pytest.param({"out_of_reach": ["*"]}, "out_of_reach.0: '*' is not", id="out of reach"),
        pytest.param({"components": [["[", "vision"]]}, "components.0.0: '[' is not", id="components"),
        pytest.param({"renames": [["(", "a"]]}, "renames.0.0: '(' is not", id="renames"),
        pytest.param({"renames": [["a", r"\1"]]}, r"renames.0: '\\1' replaces nothing of 'a'", id="group of a rename"),
        pytest.param({"renames": [["a", r"\g<b>"]]}, "renames.0: ", id="named group of a rename"),
        pytest.param({"renames": ["ab"]}, "renames.0: ", id="rename is a word"),
        pytest.param({"adapter": {"targets": "("}}, "adapter.targets: '(' is not", id="targets"),
        pytest.param({"adapter": {"exclude": "("}}, "adapter.exclude: '(' is not", id="exclude"),
        pytest.param({"adapter": {"rank_pattern": {"(": 1}}}, "adapter.rank_pattern.(: '(' is not", id="rank_pattern"),
        pytest.param({"adapter": {"alpha_pattern": {"(?i)q": 1}}}, "becomes a part", id="flags of a part"),
        pytest.param({"adapter": {"layers_pattern": "("}}, "adapter.layers_pattern: '(' is not", id="layers_pattern"),
        pytest.param({"adapter": {"rank": 0}}, "adapter.rank: ", id="rank"),
        pytest.param({"mechanisms": {"clip_norm": float("inf")}}, "mechanisms.clip_norm: ", id="infinite"),
    ],
)
def test_an_intent_that_cannot_be_judged_by_is_refused(settings: dict[str, Any], said: str) -> None:
    assert said in refusal(settings)


def test_flags_for_the_whole_work_where_a_pattern_stands_alone() -> None:
    intent = Intent.model_validate(
        {
            "trains": ["(?i)VISION"],
            "renames": [["(?i)^MODEL\\.(.)", r"\1"]],
            "components": [["(?i)VISION", "vision"]],
            "adapter": {"targets": "(?i).*Q_PROJ", "exclude": "all-linear"},
        }
    )

    assert intent.names_as_trained("vision.w")
    assert intent.naming.canonical("model.vision.w") == "vision.w"
    assert intent.naming.component("vision.w") == "vision"
