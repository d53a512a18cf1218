"""Conversation templates by name: the text that each makes, what of it is learned, and the names that are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.data import SHIPPED, Sample, Turn, read_samples
from harness.families import check_possible, family, family_of
from harness.families.supervision import read_back
from harness.families.templates import TEMPLATES
from harness.recipe import Recipe
from harness.refusal import Refused

ROUNDS = Sample(
    "made",
    (Turn("user", "<image>\nWhat?"), Turn("assistant", "A house."), Turn("user", "So?"), Turn("assistant", "Yes.")),
    (Path("house.png"),),
)
HEADERS = "<|start_header_id|>{}<|end_header_id|>\n\n"
WRITTEN = {
    "v1": "USER: <image>\nWhat? ASSISTANT: A house.</s>USER: So? ASSISTANT: Yes.</s>",
    "vicuna_v1": "USER: <image>\nWhat? ASSISTANT: A house.</s>USER: So? ASSISTANT: Yes.</s>",
    "llama_2": "[INST] <image>\nWhat? [/INST] A house. </s><s>[INST] So? [/INST] Yes. </s>",
    "mistral_instruct": "[INST] <image>\nWhat? [/INST] A house. </s>[INST] So? [/INST] Yes. </s>",
    "chatml_direct": "<|im_start|>user\n<image>\nWhat?<|im_end|><|im_start|>assistant\nA house.<|im_end|>"
    "<|im_start|>user\nSo?<|im_end|><|im_start|>assistant\nYes.<|im_end|>",
    "gemma": "<start_of_turn>user\n<image>\nWhat?<end_of_turn>\n<start_of_turn>model\nA house.<end_of_turn>\n"
    "<start_of_turn>user\nSo?<end_of_turn>\n<start_of_turn>model\nYes.<end_of_turn>\n",
    "llama_3": "<|begin_of_text|>" + HEADERS.format("user") + "<image>\nWhat?<|eot_id|>" + HEADERS.format("assistant")
    + "A house.<|eot_id|>" + HEADERS.format("user") + "So?<|eot_id|>" + HEADERS.format("assistant") + "Yes.<|eot_id|>",
}  # fmt: skip
NAME = "llava-1.5-7b"
TAKEN = family(NAME).templates  # type: ignore[attr-defined]


def recipe(name: str = NAME, **data: Any) -> Recipe:
    code = family(name).remote_code
    return Recipe.model_validate({"family": name, "tune": "connector", "data": data, "trust_remote_code": code})


def one_round(sample: Sample) -> Sample:
    """The sample as captions are: one round, whatever its length."""
    turns = sample.turns[:2]
    return replace(sample, turns=turns, images=sample.images[: turns[0].text.count("<image>")])


def test_every_template_is_written_as_its_models_know_it() -> None:
    assert set(WRITTEN) | {"plain"} == set(TEMPLATES)
    for name, text in WRITTEN.items():
        assert "".join(piece.text for piece in TEMPLATES[name].pieces(ROUNDS)) == text, name


def test_of_a_caption_s_question_only_the_pictures_are_shown() -> None:
    pieces = TEMPLATES["plain"].pieces(replace(ROUNDS, turns=ROUNDS.turns[:2]))

    assert [(piece.text, piece.supervised) for piece in pieces] == [("<image>", False), ("A house.\n", True)]


def test_a_caption_of_several_rounds_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="sample made: 2 rounds, and the template has one caption"):
        TEMPLATES["plain"].pieces(ROUNDS)


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("sample", read_samples(SHIPPED), ids=lambda sample: sample.id)
def test_the_answers_of_shipped_samples_are_learned_under_each(loaded: Any, sample: Sample, name: str) -> None:
    spoken = family_of(recipe(template=name, mix=["image"]))
    sample = one_round(sample) if name == "plain" else sample
    encoded = spoken.encode(sample, loaded.processor, 2048)

    text = read_back(
        encoded["input_ids"].tolist(), encoded["labels"].tolist(), spoken.answers(sample), 0, loaded.processor.tokenizer
    )

    assert text.promised == text.decoded == text.in_place
    assert text.promised


@pytest.mark.parametrize("name", TAKEN)
def test_what_a_template_needs_as_one_token_is_one_to_the_tokenizer_it_is_for(loaded: Any, name: str) -> None:
    single = family_of(recipe(template=name, mix=["image"])).intent(recipe()).single_tokens

    assert single == TEMPLATES[name].single
    assert all(len(loaded.processor.tokenizer(token, add_special_tokens=False)["input_ids"]) == 1 for token in single)


def test_of_another_model_s_template_hardly_any_is_one_token(loaded: Any) -> None:
    """Why those are not taken: what ends an answer would be learned letter by letter."""
    ends = [TEMPLATES[name].end for name in ("gemma", "llama_3")]

    assert all(len(loaded.processor.tokenizer(end, add_special_tokens=False)["input_ids"]) > 5 for end in ends)


def test_without_a_name_a_family_has_its_own() -> None:
    assert family_of(recipe()) is family(NAME)
    assert family_of(recipe(template="v1")).prompt(ROUNDS) == family(NAME).prompt(ROUNDS)


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        pytest.param(recipe(template="v9"), "data.template v9: no template has that name; .* takes v1,", id="unknown"),
        pytest.param(recipe(template="gemma"), "gemma: its tokenizer is not made for it; .* takes v1,", id="another's"),
        pytest.param(recipe("omnilmm-12b", template="llama_3", mix=["image"]), "has one template, its own", id="none"),
        pytest.param(
            recipe(template="plain", mix=["image", "text"]), "data.template plain and data.mix with text", id="captions"
        ),
    ],
)
def test_a_template_that_is_not_taken_is_refused(given: Recipe, refusal: str) -> None:
    with pytest.raises(Refused, match=refusal):
        check_possible(given)
