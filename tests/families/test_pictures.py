"""Where only what sees pictures trains, each micro-batch needs one: anything else ends in the middle of training."""

import pytest

from harness.families import check_possible
from harness.recipe import Recipe
from harness.refusal import Refused

ON_VISION = {"components": "vision", "rank": 4, "targets": ".*vision_tower.*q_proj"}
ON_LANGUAGE = {"rank": 4, "targets": ".*language_model.*q_proj"}
PROMPTS = {"method": "prompt_tuning", "options": {"task_type": "CAUSAL_LM"}}


def recipe(family: str = "llava-1.5-7b", **settings: object) -> Recipe:
    return Recipe.model_validate({"family": family, "trust_remote_code": True, **settings})


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"tune": "connector", "data": {"mix": ["text"]}}, id="texts alone"),
        pytest.param({"tune": ["vision", "connector"], "data": {"mix": ["text", "text"]}}, id="twice"),
        pytest.param({"lora": ON_VISION, "data": {"mix": ["text"]}}, id="an adapter on vision"),
        pytest.param({"tune": "connector", "data": {"mix": ["image", "text"], "batch_size": 1}}, id="every other"),
        pytest.param({"tune": "connector", "data": {"mix": ["image", "text", "text"]}}, id="the second batch"),
        pytest.param(
            {"tune": "connector", "data": {"mix": ["image", "blank", "text"], "samples": 3}},
            id="the last, of one sample",
        ),
    ],
)
def test_a_batch_of_texts_is_refused_where_only_what_sees_trains(settings: dict[str, object]) -> None:
    with pytest.raises(Refused, match=r"data\.mix .* what trains \(.*\) sees pictures alone; .*language model$"):
        check_possible(recipe(**settings))


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"tune": "connector"}, id="mixed batches"),
        pytest.param({"tune": "connector", "data": {"mix": ["image", "text"]}}, id="a picture in each"),
        pytest.param({"tune": ["connector", "llm"], "data": {"mix": ["text"]}}, id="the language model trains"),
        pytest.param({"tune": "all", "data": {"mix": ["text"]}}, id="all of it trains"),
        pytest.param({"tune": "connector", "lora": ON_LANGUAGE, "data": {"mix": ["text"]}}, id="an adapter there"),
        pytest.param({"adapter": PROMPTS, "data": {"mix": ["text"]}}, id="prompts"),
    ],
)
def test_where_each_batch_reaches_what_trains_nothing_is_refused(settings: dict[str, object]) -> None:
    check_possible(recipe(**settings))


@pytest.mark.parametrize("family", ["mini-gemini-2b", "minicpm-llama3-v-2.5"])
def test_families_that_give_a_text_a_blank_picture_take_it_among_others(family: str) -> None:
    check_possible(recipe(family, tune="connector", data={"mix": ["image", "text"], "batch_size": 1}))
    with pytest.raises(Refused, match=r"data\.mix holds text alone"):
        check_possible(recipe(family, tune="connector", data={"mix": ["text"]}))
