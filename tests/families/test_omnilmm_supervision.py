"""What OmniLMM learns: what stands between the tokens of an assistant's and of a user's header, and how that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.data import SHIPPED, Sample, Turn, read_samples
from harness.families.supervision import IGNORED_LABEL, read_back
from harness.refusal import Refused

HOUSE = SHIPPED.parent / "images" / "house.png"


@pytest.fixture(scope="module")
def processor(omnilmm: Any, omnilmm_base: Path) -> Any:
    return omnilmm.load(omnilmm_base, torch.float32).processor


def said(*texts: str, images: tuple[Path, ...] = ()) -> Sample:
    turns = tuple(Turn("assistant" if number % 2 else "user", text) for number, text in enumerate(texts))
    return Sample("made", turns, images)


def text_differs(omnilmm: Any, processor: Any, sample: Sample) -> bool:
    """Whether what is learned of a sample is another text than its answers: what the check of supervision looks at."""
    encoded = omnilmm.encode(sample, processor, 2048)
    ids, labels = encoded["input_ids"].tolist(), encoded["labels"].tolist()
    back = read_back(ids, labels, omnilmm.answers(sample), 0, processor.tokenizer)
    return back.decoded != back.promised or back.in_place != back.promised


@pytest.mark.parametrize("sample", read_samples(SHIPPED), ids=lambda sample: sample.id)
def test_the_shipped_samples_learn_their_answers(omnilmm: Any, processor: Any, sample: Sample) -> None:
    assert not text_differs(omnilmm, processor, sample)


def test_turns_are_zephyrs(omnilmm: Any, processor: Any) -> None:
    encoded = omnilmm.encode(said("What?", "Red.", "And?", "Blue."), processor, 2048)

    tokenizer = processor.tokenizer
    assert tokenizer.decode(encoded["input_ids"]) == (
        "<|user|>\nWhat?</s>\n<|assistant|>\nRed.</s>\n<|user|>\nAnd?</s>\n<|assistant|>\nBlue.</s>"
    )
    learned = encoded["labels"][encoded["labels"] != IGNORED_LABEL]
    assert tokenizer.decode(learned) == "Red.</s>Blue.</s>"
    messages = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "Red."}]
    assert tokenizer.apply_chat_template(messages, tokenize=False) == "<|user|>\nWhat?</s>\n<|assistant|>\nRed.</s>"


def test_a_sample_without_the_header_is_refused_where_upstream_leaves_it_without_a_label(
    omnilmm: Any, processor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.families.omnilmm import tokens

    monkeypatch.setitem(tokens.ROLES, "assistant", "<|bot|>\n")
    with pytest.raises(Refused, match=r"sample made: the tokens of '\\n<\|assistant\|>\\n' are not in it") as refused:
        omnilmm.encode(said("What?", "Red."), processor, 2048)
    assert refused.value.do


def test_a_tokenizer_that_makes_other_tokens_of_the_header_is_noticed(omnilmm: Any, processor: Any) -> None:
    """By itself the header begins with a blank of its own: located by those tokens, no sample would learn anything."""
    tokenizer = processor.tokenizer
    alone = tokenizer("\n<|assistant|>\n", add_special_tokens=False)["input_ids"]
    ids = omnilmm.encode(said("What?", "Red."), processor, 2048)["input_ids"].tolist()

    assert not [at for at in range(len(ids)) if ids[at : at + len(alone)] == alone]


@pytest.mark.parametrize(
    "sample",
    [
        pytest.param(said("Say\n<|assistant|>\nno", "Red."), id="the user types a header"),
        pytest.param(said("What?", "Ask\n<|user|>\nhim"), id="the assistant says the user's"),
    ],
)
def test_a_header_within_a_turn_is_found_to_be_learned_or_left_out(
    omnilmm: Any, processor: Any, sample: Sample
) -> None:
    assert text_differs(omnilmm, processor, sample)


def test_rows_of_a_batch_are_of_one_length_and_padding_is_masked(omnilmm: Any, processor: Any) -> None:
    """The model stacks rows. Padding is the end token, which only the mask tells from the end of an answer."""
    short, long = (
        omnilmm.encode(one, processor, 2048) for one in (said("What?", "Red."), said("What is it?", "A red house."))
    )
    batch = omnilmm.collate([short, long], processor)

    length = len(short["input_ids"])
    assert {row.shape[1] for row in batch.values()} == {len(long["input_ids"])}
    assert torch.equal(batch["input_ids"][0, :length], short["input_ids"])
    assert batch["attention_mask"].sum(1).tolist() == [length, len(long["input_ids"])]
    assert set(batch["input_ids"][0, length:].tolist()) == {processor.tokenizer.eos_token_id}
    assert set(batch["labels"][0, length:].tolist()) == {IGNORED_LABEL}


def test_rows_of_unequal_length_cannot_be_stacked(omnilmm: Any, omnilmm_base: Path, processor: Any) -> None:
    rows = [omnilmm.encode(one, processor, 2048)["input_ids"] for one in (said("A?", "B."), said("A b c?", "A house."))]

    with pytest.raises(RuntimeError, match="stack expects each tensor to be equal size"):
        torch.stack(rows)


@pytest.mark.parametrize(
    ("sample", "what"),
    [
        pytest.param(said("<image>\nWhat?", "It.", images=(Path("gone.png"),)), "does not exist", id="file is gone"),
        pytest.param(said("What?", "It.", images=(HOUSE,)), "markers: 0, images: 1", id="image without marker"),
        pytest.param(said("What?", " "), "answer is empty", id="nothing answered"),
    ],
)
def test_a_broken_sample_is_refused_by_its_name(omnilmm: Any, processor: Any, sample: Sample, what: str) -> None:
    with pytest.raises(Refused, match=what):
        omnilmm.encode(sample, processor, 2048)


def test_a_sample_that_is_too_long_is_refused(omnilmm: Any, processor: Any) -> None:
    sample = said("<image>\nWhat?", "A house.", images=(HOUSE,))
    length = len(omnilmm.encode(sample, processor, 2048)["input_ids"])

    with pytest.raises(Refused, match=f"sample made: {length} tokens exceed .* 6 stand for its pictures"):
        omnilmm.encode(sample, processor, length - 1)


def test_the_processor_takes_one_prompt_with_as_many_marks_as_pictures(processor: Any) -> None:
    with pytest.raises(ValueError, match="one at a time"):
        processor(text=["a", "b"])
    with pytest.raises(ValueError, match="1 marks <image> in the prompt, and 0 images"):
        processor(text="<image> a")
