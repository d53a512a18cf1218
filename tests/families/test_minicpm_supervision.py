"""What MiniCPM-V learns: each answer and its end, one place early, and after it once more the end of the turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import SHIPPED, Sample, Turn, read_samples
from harness.families.minicpm.batches import shifted
from harness.families.minicpm.dimensions import TINY
from harness.families.supervision import IGNORED_LABEL
from harness.refusal import Refused

HOUSE = SHIPPED.parent / "images" / "house.png"
EOT, START, END = TINY.ordinary + 9, TINY.ordinary + 6, TINY.ordinary + 7


def said(*texts: str, images: tuple[Path, ...] = ()) -> Sample:
    turns = tuple(Turn("assistant" if number % 2 else "user", text) for number, text in enumerate(texts))
    return Sample("made", turns, images)


def by_the_published_rule(ids: list[int], assistant: int) -> list[int]:
    """The labels as the published data code finds them: from the ids alone, by the tokens around an answer."""
    answers: set[int] = set()
    for at in range(1, len(ids) - 1):
        if (ids[at - 1], ids[at], ids[at + 1]) == (START, assistant, END):
            start = at + 3
            answers |= set(range(start, ids.index(EOT, start) + 1))
    labels = [IGNORED_LABEL] * len(ids)
    for at in range(1, len(ids)):
        if at in answers:
            labels[at - 1] = ids[at]
        elif at - 1 in answers:
            labels[at - 1] = EOT
    return labels


def assistant_id(processor: Any) -> int:
    (number,) = processor.tokenizer("assistant")["input_ids"]
    assert isinstance(number, int)
    return number


@pytest.mark.parametrize("sample", read_samples(SHIPPED), ids=lambda sample: sample.id)
def test_the_shipped_samples_have_the_labels_of_the_published_rule(
    minicpm: Any, minicpm_loaded: Any, sample: Sample
) -> None:
    processor = minicpm_loaded.processor
    encoded = minicpm.encode(sample, processor, 2048)

    ids, labels = encoded["input_ids"].tolist(), encoded["labels"].tolist()
    assert labels == by_the_published_rule(ids, assistant_id(processor))
    assert sum(label != IGNORED_LABEL for label in labels) > 1


words = st.lists(st.sampled_from(["red", " ", "assistant", "\n", "\n\n", "house.", "!", "ÿ"]), max_size=6).map("".join)


@settings(deadline=None, max_examples=80)
@given(texts=st.lists(st.tuples(words, words.filter(str.strip)), min_size=1, max_size=3))
def test_any_conversation_has_the_labels_of_the_published_rule(
    minicpm: Any, minicpm_loaded: Any, texts: list[tuple[str, str]]
) -> None:
    processor = minicpm_loaded.processor
    encoded = minicpm.encode(said(*(text for turn in texts for text in turn)), processor, 2048)

    ids, labels = encoded["input_ids"].tolist(), encoded["labels"].tolist()
    assert labels == by_the_published_rule(ids, assistant_id(processor))


def test_each_answer_is_learned_one_place_early_with_its_end_and_the_end_again(
    minicpm: Any, minicpm_loaded: Any
) -> None:
    tokenizer = minicpm_loaded.processor.tokenizer
    encoded = minicpm.encode(said("What?", "Red.", "And then?", "Blue."), minicpm_loaded.processor, 2048)
    ids, labels = encoded["input_ids"].tolist(), encoded["labels"].tolist()

    learned = [
        (tokenizer.decode([here]), tokenizer.decode([what]))
        for here, what in zip(ids, labels, strict=True)
        if what != IGNORED_LABEL
    ]
    answers = "".join(what for _, what in learned)
    assert answers == "Red.<|eot_id|><|eot_id|>Blue.<|eot_id|>"
    assert learned[0][0] == "\n\n"
    assert ("<|eot_id|>", "<|eot_id|>") in learned
    assert labels[-1] == IGNORED_LABEL
    assert ids[-1] == EOT


def test_the_text_is_the_training_templates_and_not_the_saved_ones(minicpm: Any, minicpm_loaded: Any) -> None:
    encoded = minicpm.encode(said(" What? \n", "Red. "), minicpm_loaded.processor, 2048)

    assert minicpm_loaded.processor.tokenizer.decode(encoded["input_ids"]) == (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWhat?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nRed.<|eot_id|>"
    )


@given(st.lists(st.one_of(st.just(IGNORED_LABEL), st.integers(0, 5)), min_size=1, max_size=12))
def test_labels_are_those_of_the_next_place(labels: list[int]) -> None:
    moved = shifted(labels, turn_end=99)

    assert len(moved) == len(labels)
    assert moved[-1] == IGNORED_LABEL
    for at, label in enumerate(labels[1:]):
        if moved[at] == 99:
            assert labels[at] != IGNORED_LABEL == label
        else:
            assert moved[at] == label


@pytest.mark.parametrize("kind", ["image", "blank", "several"])
def test_bounds_name_the_places_of_unknown_tokens_and_no_others(
    minicpm: Any, minicpm_loaded: Any, of_each_kind: dict[str, Sample], kind: str
) -> None:
    encoded = minicpm.encode(of_each_kind[kind], minicpm_loaded.processor, 2048)
    named = {at for start, end in encoded["image_bound"].tolist() for at in range(start, end)}

    unknown = TINY.ordinary + 2
    assert named == {at for at, token in enumerate(encoded["input_ids"].tolist()) if token == unknown}
    assert len(named) == TINY.queries * len(encoded["pixel_values"]) == TINY.queries * len(encoded["tgt_sizes"])
    for pixels, (rows, columns) in zip(encoded["pixel_values"], encoded["tgt_sizes"].tolist(), strict=True):
        assert tuple(pixels.shape) == (3, TINY.patch, TINY.patch * rows * columns)


def test_text_alone_has_empty_lists_where_pictures_have_tensors(
    minicpm: Any, minicpm_loaded: Any, of_each_kind: dict[str, Sample]
) -> None:
    encoded = minicpm.encode(of_each_kind["text"], minicpm_loaded.processor, 2048)

    assert encoded["pixel_values"] == encoded["tgt_sizes"] == []
    assert encoded["image_bound"].shape == (0, 2)


def test_a_batch_is_its_samples_and_padding_that_is_not_learned(
    minicpm: Any, minicpm_loaded: Any, of_each_kind: dict[str, Sample]
) -> None:
    samples = [of_each_kind[kind] for kind in ("image", "several", "blank")]
    encoded = [minicpm.encode(sample, minicpm_loaded.processor, 2048) for sample in samples]
    batch = minicpm.collate(encoded, minicpm_loaded.processor)

    assert len({len(one["input_ids"]) for one in encoded}) > 1
    for row, one in enumerate(encoded):
        length = len(one["input_ids"])
        for name, padding in (("input_ids", 0), ("position_ids", 0), ("labels", IGNORED_LABEL)):
            assert torch.equal(batch[name][row, :length], one[name])
            assert (batch[name][row, length:] == padding).all()
        assert batch["attention_mask"][row].tolist() == [1] * length + [0] * (batch["labels"].shape[1] - length)
        assert torch.equal(one["position_ids"], torch.arange(length))
        assert torch.equal(batch["image_bound"][row], one["image_bound"])
        assert torch.equal(batch["tgt_sizes"][row], one["tgt_sizes"])
        assert [p.shape for p in batch["pixel_values"][row]] == [p.shape for p in one["pixel_values"]]
    assert set(minicpm.arguments(batch)["data"]) == set(batch) - {"labels"} == set(minicpm.generation(batch)["data"])


@pytest.mark.parametrize(
    ("sample", "what"),
    [
        pytest.param(said("<image>\nWhat?", "It.", images=(Path("gone.png"),)), "does not exist", id="file is gone"),
        pytest.param(said("What?", "It.", images=(HOUSE,)), "markers: 0, images: 1", id="image without marker"),
        pytest.param(said("<image>\nWhat?", "It."), "markers: 1, images: 0", id="marker without image"),
        pytest.param(said("What?", " "), "answer is empty", id="nothing answered"),
    ],
)
def test_a_broken_sample_is_refused_by_its_name(minicpm: Any, minicpm_loaded: Any, sample: Sample, what: str) -> None:
    with pytest.raises(Refused) as refused:
        minicpm.encode(sample, minicpm_loaded.processor, 2048)

    assert str(refused.value).startswith("sample made: ")
    assert what in refused.value.what
    assert refused.value.do


def test_a_sample_that_is_too_long_is_refused_and_one_that_just_fits_is_whole(
    minicpm: Any, minicpm_loaded: Any
) -> None:
    """Cut, an image's places would point beyond its end: "Expected index to be smaller than self", in mid-run."""
    sample = said("<image>\nWhat?", "A house.", images=(HOUSE,))
    length = len(minicpm.encode(sample, minicpm_loaded.processor, 2048)["input_ids"])

    with pytest.raises(Refused, match=f"sample made: {length} tokens exceed max_length {length - 1}"):
        minicpm.encode(sample, minicpm_loaded.processor, length - 1)
    assert len(minicpm.encode(sample, minicpm_loaded.processor, length)["input_ids"]) == length
