"""The script's llm_type: each model has one, and another, or one that the script does not know, is refused."""

from __future__ import annotations

from typing import Any

import pytest

from harness.data import Sample
from harness.families import check_possible, family, family_of
from harness.families.minicpm.templates import LLAMA3, MINICPM, QWEN
from harness.recipe import Recipe
from harness.refusal import Refused

OWN = {"minicpm-llama3-v-2.5": LLAMA3, "minicpm-v-2": MINICPM, "minicpm-v-2.6": QWEN}


def recipe(name: str, template: str) -> Recipe:
    data = {"mix": ["image"], "template": template}
    return Recipe(family=name, tune="connector", trust_remote_code=True, data=data)


@pytest.mark.parametrize("name", OWN)
def test_its_own_is_taken_and_changes_nothing(name: str) -> None:
    chosen = recipe(name, OWN[name].name)

    check_possible(chosen)

    assert family_of(chosen) is family(name)


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("other", ["llama3", "qwen", "minicpm"])
def test_that_of_another_model_is_refused(name: str, other: str) -> None:
    if other == OWN[name].name:
        return
    with pytest.raises(Refused, match=f"data.template {other}: {name} was trained with {OWN[name].name};"):
        check_possible(recipe(name, other))


@pytest.mark.parametrize(
    ("name", "unknown"),
    [
        pytest.param("minicpm-llama3-v-2.5", "llama", id="what a README named"),
        pytest.param("minicpm-v-2.6", "qwen2", id="what it was called for half a year"),
        pytest.param("minicpm-v-2", "minicpm2", id="a slip"),
    ],
)
def test_one_that_the_script_does_not_know_is_refused_and_not_taken_for_minicpm(name: str, unknown: str) -> None:
    with pytest.raises(Refused, match="takes a word that it does not know for minicpm") as refused:
        check_possible(recipe(name, unknown))

    assert str(refused.value.do).startswith(f"set data.template: {OWN[name].name}")


def test_every_form_of_a_conversation_is_another(of_each_kind: dict[str, Sample]) -> None:
    written: set[Any] = set()
    for template in OWN.values():
        pieces = template.pieces_of(of_each_kind["several"])
        written.add("".join(piece.text for piece in pieces))
        assert sum(piece.supervised for piece in pieces) == len(template.answers_of(of_each_kind["several"]))

    assert len(written) == len(OWN)


def test_an_end_stands_after_the_last_message_alone_under_minicpm(of_each_kind: dict[str, Sample]) -> None:
    sample = of_each_kind["text"]
    texts = [piece.text for piece in MINICPM.pieces_of(sample)]

    assert [text for text in texts if "</s>" in text] == [f"{sample.turns[-1].text.strip()}</s>"]
    assert texts[0] == "<用户>"
    assert texts[-2] == "<AI>"
