"""The text that labels say is read back from them, and held against the turns of a sample."""

from __future__ import annotations

from typing import Any

import pytest

from harness.data import SHIPPED, Sample, Turn, read_samples
from harness.families.supervision import IGNORED_LABEL, Answer, ReadBack, read_back

TALK = Sample(
    "made", (Turn("user", "What?"), Turn("assistant", "Red."), Turn("user", "And?"), Turn("assistant", "Blue.")), ()
)
ENDS = {"llava": ["Red.</s>", "Blue.</s>"], "minicpm": ["Red.<|eot_id|><|eot_id|>", "Blue.<|eot_id|>"]}


@pytest.fixture(params=["llava", "minicpm"])
def family(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """A family and its processor."""
    name = request.param
    loaded = request.getfixturevalue({"llava": "loaded", "minicpm": "minicpm_loaded"}[name])
    return request.getfixturevalue(name), loaded.processor


def parts(family: tuple[Any, Any], sample: Sample) -> dict[str, Any]:
    chosen, processor = family
    encoded = chosen.encode(sample, processor, 2048)
    return {
        "ids": encoded["input_ids"].tolist(),
        "labels": encoded["labels"].tolist(),
        "answers": chosen.answers(sample),
        "early": chosen.labels_early,
        "tokenizer": processor.tokenizer,
    }


@pytest.mark.parametrize("sample", [*read_samples(SHIPPED), TALK], ids=lambda sample: sample.id)
def test_the_labels_of_a_sample_say_its_answers(family: tuple[Any, Any], sample: Sample) -> None:
    text = read_back(**parts(family, sample))

    assert text.promised == text.decoded == text.in_place
    assert len(text.promised) == len(sample.turns) // 2


def test_what_is_promised_are_the_answers_and_the_familys_end(family: tuple[Any, Any]) -> None:
    text = read_back(**parts(family, TALK))

    assert text.promised in ENDS.values()


@pytest.mark.parametrize("by", [-1, 1])
def test_labels_one_place_off_say_the_same_and_point_elsewhere(family: tuple[Any, Any], by: int) -> None:
    made = parts(family, TALK)
    labels = made["labels"]
    made["labels"] = [*labels[1:], IGNORED_LABEL] if by < 0 else [IGNORED_LABEL, *labels[:-1]]
    text = read_back(**made)

    assert text.decoded[0] == text.promised[0] != text.in_place[0]


def test_labels_of_the_whole_prompt_are_not_the_answers(family: tuple[Any, Any]) -> None:
    made = parts(family, TALK)
    text = read_back(**{**made, "labels": made["ids"]})

    assert len(text.decoded) == 1 != len(text.promised)


def test_an_end_that_is_not_learned_is_missed(family: tuple[Any, Any]) -> None:
    made = parts(family, TALK)
    last = max(place for place, label in enumerate(made["labels"]) if label != IGNORED_LABEL)
    made["labels"][last] = IGNORED_LABEL
    text = read_back(**made)

    assert (text.decoded[0], text.decoded[-1]) == (text.promised[0], "Blue.")


def test_a_trace_is_given_digests_alone(family: tuple[Any, Any]) -> None:
    digests = read_back(**parts(family, TALK)).digests()

    assert digests["promised"] == digests["decoded"] == digests["in_place"]
    assert all(len(digest) == 16 and digest.isalnum() for digest in digests["promised"])
    assert ReadBack(["a"], ["b"], []).digests()["promised"] != ReadBack(["a"], ["b"], []).digests()["decoded"]
    assert Answer("a").more == ""
