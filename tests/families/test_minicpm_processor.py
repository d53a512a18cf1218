"""MiniCPM-V's processor: pictures are cut as published, prompts hold what they should, and it comes back from disk."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from PIL import Image

from harness.data import SHIPPED, Sample, read_samples
from harness.families.minicpm import processing, tokens
from harness.families.minicpm.code_files.processing_minicpmv import MARK, MiniCPMVProcessor
from harness.families.minicpm.dimensions import PUBLISHED, TINY
from harness.trace.nested import digest_of
from tests.families.slicing_reference import RECORDED, SIZES, Size, digest, ruled_image

RECORDS: dict[str, Any] = json.loads(RECORDED.read_text())
KINDS = ("image", "text", "blank", "several")


@pytest.fixture(scope="module")
def published() -> Any:
    """The processor at its published numbers. Ordinary tokens that nobody learned fill the vocabulary up."""
    vocab, merges = processing.vocabulary(TINY)
    filled = {**vocab, **{f"unused-{number}": number for number in range(TINY.ordinary, PUBLISHED.ordinary)}}
    return MiniCPMVProcessor(processing.image_processor(PUBLISHED), processing.tokenizer(PUBLISHED, filled, merges))


@pytest.fixture(scope="module")
def again(minicpm_loaded: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a training run leaves behind: the loaded processor, saved and loaded once more."""
    from transformers import AutoProcessor

    directory = tmp_path_factory.mktemp("again")
    minicpm_loaded.processor.save_pretrained(directory)
    return AutoProcessor.from_pretrained(directory, trust_remote_code=True)


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_a_picture_of_any_size_is_cut_as_published(published: Any, size: Size) -> None:
    recorded, image = RECORDS[f"{size[0]}x{size[1]}"], ruled_image(*size)
    cutter = published.image_processor

    pictures = cutter.slices(image)
    inputs = cutter(image)

    assert cutter.grid(size) == (tuple(recorded["grid"]) if recorded["grid"] else None)
    assert [list(one.size) for one in pictures] == [recorded["source"], *recorded["tiles"]]
    assert [digest(cutter_array(one)) for one in pictures] == recorded["pixels"]
    assert [digest(one.numpy()) for one in inputs["pixel_values"]] == recorded["patch_rows"]
    assert inputs["tgt_sizes"].tolist() == recorded["target_sizes"]


def cutter_array(picture: Image.Image) -> Any:
    import numpy as np

    return np.asarray(picture)


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_the_prompt_holds_the_published_tokens_for_it(published: Any, size: Size) -> None:
    recorded = RECORDS[f"{size[0]}x{size[1]}"]
    inputs = published(text=[f"{MARK}\nWhat?"], images=[ruled_image(*size)], return_tensors="pt")
    ids = inputs["input_ids"][0].tolist()

    place = ids[: recorded["placeholder_tokens"]]
    newline = published.tokenizer.convert_tokens_to_ids("Ċ")
    numbers = {"<image>": 128010, "</image>": 128011, "<slice>": 128020, "</slice>": 128021, "\n": newline}
    assert {name: [at for at, token in enumerate(place) if token == number] for name, number in numbers.items()} == (
        recorded["positions"]
    )
    assert place.count(128002) == ids.count(128002) == recorded["query_tokens"]
    assert ids[recorded["placeholder_tokens"]] == newline
    assert inputs["image_bound"][0].tolist() == recorded["image_bounds"]
    assert len(inputs["pixel_values"][0]) == recorded["slices"]


def test_several_pictures_follow_one_another(published: Any) -> None:
    sizes = [(449, 448), (64, 64)]
    text = f"First: {MARK}\nSecond: {MARK}\nWhich?"
    inputs = published(text=[text], images=[ruled_image(*size) for size in sizes])

    assert [len(one) for one in inputs["image_bound"]] == [4]
    assert (inputs["image_bound"][0][:, 1] - inputs["image_bound"][0][:, 0]).tolist() == [96] * 4
    assert inputs["tgt_sizes"][0].tolist() == [
        *RECORDS["449x448"]["target_sizes"],
        *RECORDS["64x64"]["target_sizes"],
    ]


@pytest.mark.parametrize("count", [0, 2])
def test_marks_and_pictures_must_be_as_many(published: Any, count: int) -> None:
    with pytest.raises(ValueError, match=f"1 marks .* and {count} images"):
        published(text=[f"{MARK}\nWhat?"], images=[ruled_image(64, 64)] * count)


def test_the_shipped_samples_show_pictures_that_are_cut_and_some_that_are_not(minicpm_loaded: Any) -> None:
    cutter = minicpm_loaded.processor.image_processor
    pictures = [Image.open(path) for sample in read_samples(SHIPPED) for path in sample.images]

    assert {len(cutter.slices(picture)) for picture in pictures} == {1, 3}
    assert {cutter.grid(picture.size) for picture in pictures} == {None, (1, 2), (2, 1)}


def inputs(processor: Any, minicpm: Any, sample: Sample) -> dict[str, Any]:
    prompt = minicpm.prompt(sample)
    images = [Image.open(path).convert("RGB") for path in prompt["images"]]
    return dict(processor(text=[prompt["text"]], images=images or None, return_tensors="pt"))


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_are_the_same_before_and_after_saving(
    minicpm: Any, minicpm_loaded: Any, again: Any, of_each_kind: dict[str, Sample], kind: str
) -> None:
    built = MiniCPMVProcessor(
        processing.image_processor(TINY), processing.tokenizer(TINY, *processing.vocabulary(TINY))
    )
    first, second, third = (
        {name: digest_of(value) for name, value in inputs(one, minicpm, of_each_kind[kind]).items()}
        for one in (built, minicpm_loaded.processor, again)
    )

    assert first == second == third


def test_the_classes_come_back(minicpm_loaded: Any, again: Any) -> None:
    for processor in (minicpm_loaded.processor, again):
        parts = (processor, processor.tokenizer, processor.image_processor)
        names = [type(part).__name__ for part in parts]
        assert names == ["MiniCPMVProcessor", "MiniCPMVTokenizerFast", "MiniCPMVImageProcessor"]
        assert all(type(part).__module__.startswith("transformers_modules.") for part in parts)


def test_special_tokens_have_the_ids_of_their_slots_and_of_the_configuration(
    minicpm_loaded: Any, again: Any, published: Any
) -> None:
    for processor, d in ((minicpm_loaded.processor, TINY), (again, TINY), (published, PUBLISHED)):
        tokenizer, ids = processor.tokenizer, tokens.ids(d)
        assert {token: tokenizer.convert_tokens_to_ids(token) for token in ids} == ids
        assert (tokenizer.pad_token_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.unk_id, tokenizer.eot_id) == (
            *(0, d.ordinary, d.ordinary + 1, d.ordinary + 2, d.ordinary + 9),
        )
        assert (tokenizer.im_start_id, tokenizer.im_end_id) == (ids["<image>"], ids["</image>"])
        assert (tokenizer.slice_start_id, tokenizer.slice_end_id) == (ids["<slice>"], ids["</slice>"])
        assert len(tokenizer) == d.vocabulary
    config, generation = minicpm_loaded.model.config, minicpm_loaded.model.generation_config
    ids = tokens.ids(TINY)
    assert (config.bos_token_id, config.eos_token_id) == (ids[tokens.BEGIN], ids[tokens.END])
    assert generation.eos_token_id == [ids[tokens.END], ids[tokens.TURN_END]]
    assert generation.pad_token_id == 0


@pytest.mark.parametrize("token", ["<image>", "<unk>", "</slice>", "<|eot_id|>", "<|begin_of_text|>"])
def test_a_special_token_is_one_token_wherever_it_stands(minicpm_loaded: Any, token: str) -> None:
    tokenizer = minicpm_loaded.processor.tokenizer
    number = tokenizer.convert_tokens_to_ids(token)

    for text in (token, f"a {token} b", f"a{token}b", f"a\n{token}"):
        assert tokenizer(text)["input_ids"].count(number) == 1, text


@pytest.mark.parametrize("text", ["A house.", "two  spaces ", "naïve ✨ 中文 🏠", "tab\tand\nbreak\n\n", "1234 it's ÿ"])
def test_any_text_survives_the_tokenizer_and_gets_no_token_before_it(minicpm_loaded: Any, text: str) -> None:
    tokenizer = minicpm_loaded.processor.tokenizer
    ids = tokenizer(text)["input_ids"]

    assert max(ids) < TINY.ordinary
    assert tokenizer.decode(ids) == text


def test_the_first_ordinary_token_pads(minicpm_loaded: Any) -> None:
    """Padding is told from an exclamation mark by the attention mask alone."""
    tokenizer = minicpm_loaded.processor.tokenizer

    assert tokenizer("!")["input_ids"] == [tokenizer.pad_token_id] == [0]


@pytest.mark.parametrize("part", ["user", "assistant", "\n\n"])
def test_the_parts_of_a_header_are_one_token_each(minicpm_loaded: Any, part: str) -> None:
    """The published labels count on it: an answer begins three tokens after its speaker's name."""
    tokenizer = minicpm_loaded.processor.tokenizer

    ids = tokenizer(f"<|start_header_id|>{part}<|end_header_id|>" if part.isalpha() else f"{part}Yes")["input_ids"]
    assert tokenizer.decode([ids[1] if part.isalpha() else ids[0]]) == part


def test_the_saved_chat_template_opens_the_assistants_turn_whether_asked_to_or_not(
    minicpm: Any, minicpm_loaded: Any, again: Any, of_each_kind: dict[str, Sample]
) -> None:
    sample = of_each_kind["text"]
    messages = [{"role": turn.speaker, "content": turn.text} for turn in sample.turns]

    for processor in (minicpm_loaded.processor, again):
        for asked in (False, True):
            text = processor.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=asked)
            assert text == f"{minicpm.prompt(sample)['text']}<|start_header_id|>assistant<|end_header_id|>\n\n"


def test_the_mark_of_the_prompts_is_the_processors_own() -> None:
    assert tokens.PICTURE == MARK


def test_positions_and_mask_are_those_of_one_whole_prompt(minicpm: Any, minicpm_loaded: Any) -> None:
    for sample in read_samples(SHIPPED):
        given = inputs(minicpm_loaded.processor, minicpm, sample)
        assert torch.equal(given["position_ids"], torch.arange(given["input_ids"].shape[1])[None])
        assert given["attention_mask"].all()
