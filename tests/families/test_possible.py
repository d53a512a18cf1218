"""What a family does not have is refused before anything is built; what a union merely brings along is not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from harness.families import check_possible, family
from harness.recipe import Recipe
from harness.refusal import Refused

NAME = "llava-1.5-7b"


def recipe(**fields: Any) -> Recipe:
    return Recipe.model_validate({"family": NAME, **fields})


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        pytest.param(
            {"tune": "audio"}, "tune: llava-1.5-7b has no component audio; llava-1.5-7b has vision", id="part"
        ),
        pytest.param(
            {"tune": {"embeddings": {"last": 1}}}, "embeddings of llava-1.5-7b has no list of layers", id="last"
        ),
        pytest.param({"tune": {"language": {"last": 3}}}, "language of this model has 2 layers, not 3", id="too many"),
        pytest.param(
            {"lora": {"targets": ["q_proj"], "components": "audio"}},
            "lora.components: .* no component audio",
            id="lora",
        ),
        pytest.param(
            {
                "family": "minimind-v3",
                "trust_remote_code": True,
                "tune": "llm",
                "data": {"mix": ["text"]},
                "attention": "sdpa",
            },
            "attention: the code of minimind-v3 computes attention in its own way alone",
            id="attention of own code",
        ),
        pytest.param(
            {
                "family": "minimind-v3",
                "trust_remote_code": True,
                "tune": "llm",
                "data": {"mix": ["text"]},
                "agrees_with": "eager-attention",
            },
            "agrees_with eager-attention: the code of minimind-v3",
            id="agreement of own code",
        ),
        pytest.param({"family": "llava-1.5-7", "tune": "all"}, "did you mean llava-1.5-7b", id="misspelt family"),
        pytest.param({"family": "nowhere:THING", "tune": "all"}, "cannot be imported", id="family of no module"),
    ],
)
def test_it_is_refused_in_one_line(fields: dict[str, Any], refusal: str) -> None:
    with pytest.raises(Refused) as refused:
        check_possible(recipe(**fields))

    assert re.search(refusal, str(refused.value))
    assert refused.value.do
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("extent", ["all", {"last": 1}])
def test_a_union_may_name_components_that_the_family_lacks(extent: Any) -> None:
    towers = recipe(tune={"towers": extent})

    check_possible(towers)

    intent, alone = family(NAME).intent(towers), family(NAME).intent(recipe(tune={"vision": extent}))
    assert intent.trains == alone.trains != ()


def test_all_layers_by_number_are_possible() -> None:
    check_possible(recipe(tune={"language": {"last": 2}, "vision": {"last": 3}}))
