"""What is learned is each answer and its end token, in its place, and nothing else."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import SHIPPED, Sample, Turn, read_samples
from harness.data.sample import MARKER
from harness.families.llava.dimensions import TINY
from harness.families.supervision import IGNORED_LABEL, Piece, labels_for, spans
from harness.refusal import Refused

IMAGES = sorted((SHIPPED.parent / "images").glob("*.png"))

# Not "▁", which Llama's tokenizers cannot tell from a space.
texts = st.text(st.characters(exclude_characters="▁", exclude_categories=["Cs"]), max_size=24).filter(
    lambda text: not any(special in text for special in (MARKER, "<s>", "</s>", "<pad>", "<unk>"))
)
words = st.lists(st.sampled_from(["red", " ", "USER:", "ASSISTANT:", "\n", "house.", "3"]), max_size=6).map("".join)
said = texts | words


@st.composite
def conversations(draw: st.DrawFn) -> Sample:
    """Some rounds of question and answer, now and then about pictures."""
    turns: list[Turn] = []
    images = []
    for _ in range(draw(st.integers(1, 3))):
        shown = draw(st.lists(st.sampled_from(IMAGES), max_size=2)) if draw(st.integers(0, 3)) == 0 else []
        question = MARKER.join(draw(said) for _ in range(len(shown) + 1))
        turns += [Turn("user", question), Turn("assistant", draw(said.filter(str.strip)))]
        images += shown
    return Sample("made", tuple(turns), tuple(images))


def stretches(encoded: dict[str, Any], tokenizer: Any) -> list[tuple[bool, str]]:
    """The sample as runs of learned and ignored tokens, decoded."""
    pairs = zip(encoded["input_ids"].tolist(), encoded["labels"].tolist(), strict=True)
    runs = groupby(pairs, key=lambda pair: pair[1] != IGNORED_LABEL)
    return [(learned, tokenizer.decode([number for number, _ in run])) for learned, run in runs]


def expected(sample: Sample, tokens_of_an_image: int) -> list[tuple[bool, str]]:
    """The same, from the turns alone. Decoding drops a space that stands first, and the first word was given one."""
    runs = []
    for number, turn in enumerate(sample.turns):
        shown = turn.text.replace(MARKER, MARKER * tokens_of_an_image)
        begin = "" if number else "<s> "
        runs.append((True, f"{shown}</s>") if number % 2 else (False, f"{begin}USER: {shown} ASSISTANT:"))
    return runs


@pytest.mark.parametrize("sample", read_samples(SHIPPED), ids=lambda sample: sample.id)
def test_the_shipped_answers_are_learned_and_nothing_else(llava: Any, loaded: Any, sample: Sample) -> None:
    encoded = llava.encode(sample, loaded.processor, 2048)

    assert stretches(encoded, loaded.processor.tokenizer) == expected(sample, TINY.image_tokens)


@settings(deadline=None, max_examples=120)
@given(sample=conversations())
def test_any_answers_are_learned_and_nothing_else(llava: Any, loaded: Any, sample: Sample) -> None:
    encoded = llava.encode(sample, loaded.processor, 100_000)

    assert stretches(encoded, loaded.processor.tokenizer) == expected(sample, TINY.image_tokens)
    learned = encoded["labels"] != IGNORED_LABEL
    assert torch.equal(encoded["labels"][learned], encoded["input_ids"][learned])
    assert loaded.processor.image_token_id not in encoded["labels"]


def test_a_batch_is_its_samples_and_padding_that_is_neither_seen_nor_learned(
    llava: Any, loaded: Any, of_each_kind: dict[str, Sample]
) -> None:
    encoded = [llava.encode(sample, loaded.processor, 2048) for sample in of_each_kind.values()]
    batch = llava.collate(encoded, loaded.processor)

    assert len({len(one["input_ids"]) for one in encoded}) > 1
    for row, one in enumerate(encoded):
        length = len(one["input_ids"])
        assert torch.equal(batch["input_ids"][row, :length], one["input_ids"])
        assert torch.equal(batch["labels"][row, :length], one["labels"])
        assert (batch["input_ids"][row, length:] == loaded.processor.tokenizer.pad_token_id).all()
        assert (batch["labels"][row, length:] == IGNORED_LABEL).all()
        assert batch["attention_mask"][row].tolist() == [1] * length + [0] * (batch["labels"].shape[1] - length)
    pixels = [one["pixel_values"] for one in encoded if "pixel_values" in one]
    assert torch.equal(batch["pixel_values"], torch.cat(pixels))
    assert len(batch["pixel_values"]) == sum(len(sample.images) for sample in of_each_kind.values())


def test_a_batch_of_text_has_no_pixels(llava: Any, loaded: Any, of_each_kind: dict[str, Sample]) -> None:
    encoded = llava.encode(of_each_kind["text"], loaded.processor, 2048)

    assert set(llava.collate([encoded], loaded.processor)) == {"input_ids", "attention_mask", "labels"}


@given(st.lists(st.tuples(st.text(max_size=4), st.booleans()), max_size=6))
def test_spans_cut_the_supervised_text_out(given: list[tuple[str, bool]]) -> None:
    pieces = [Piece(text, supervised) for text, supervised in given]
    joined = "".join(piece.text for piece in pieces)

    assert [joined[a:b] for a, b in spans(pieces)] == [piece.text for piece in pieces if piece.supervised]


def test_ids_that_the_tokenizer_did_not_make_are_refused(loaded: Any) -> None:
    pieces = [Piece("USER: hi ASSISTANT:", False), Piece(" Hello.</s>", True)]
    tokenizer = loaded.processor.tokenizer
    ids = tokenizer("".join(piece.text for piece in pieces))["input_ids"]

    assert labels_for(pieces, ids, tokenizer, "x")[-1] == tokenizer.eos_token_id
    with pytest.raises(Refused, match="sample x: the processor and the tokenizer disagree"):
        labels_for(pieces, [*ids, 5], tokenizer, "x")


def test_a_token_across_the_edge_of_an_answer_is_refused(loaded: Any) -> None:
    """A template that glues the answer to its prompt lets one token hold both: no label is right for it."""
    tokenizer = loaded.processor.tokenizer
    word = next(
        token[1:] for token in tokenizer.get_vocab() if token.startswith("▁") and token[1:].isalpha() and len(token) > 3
    )
    pieces = [Piece(f" {word[:1]}", False), Piece(word[1:], True)]
    ids = tokenizer(f" {word}")["input_ids"]

    with pytest.raises(Refused, match="sample x: a token crosses the edge of an answer at character 2"):
        labels_for(pieces, ids, tokenizer, "x")
