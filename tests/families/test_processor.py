"""The processor is the library's own over a tokenizer trained offline, and comes back from disk as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image

from harness.data import SHIPPED, Sample, read_samples
from harness.families.llava.dimensions import TINY
from harness.families.llava.processing import processor as built_processor
from harness.families.tokenizers import llama_bpe, shipped_text

KINDS = ("image", "text", "blank", "several")


@pytest.fixture(scope="module")
def built() -> Any:
    return built_processor(TINY)


@pytest.fixture(scope="module")
def again(loaded: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a training run leaves behind: the loaded processor, saved and loaded once more."""
    from transformers import AutoProcessor

    directory = tmp_path_factory.mktemp("again")
    loaded.processor.save_pretrained(directory)
    return AutoProcessor.from_pretrained(directory)


def inputs(processor: Any, llava: Any, sample: Sample) -> dict[str, torch.Tensor]:
    prompt = llava.prompt(sample)
    images = [Image.open(path).convert("RGB") for path in prompt["images"]]
    return dict(processor(text=[prompt["text"]], images=images or None, return_tensors="pt"))


@pytest.mark.parametrize("kind", KINDS)
def test_ids_and_pixels_are_the_same_before_and_after_saving(
    llava: Any, built: Any, loaded: Any, again: Any, of_each_kind: dict[str, Sample], kind: str
) -> None:
    first, second, third = (inputs(one, llava, of_each_kind[kind]) for one in (built, loaded.processor, again))

    assert first.keys() == second.keys() == third.keys()
    assert ("pixel_values" in first) == (kind != "text")
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
        assert torch.equal(value, third[name]), name


def test_the_classes_come_back(built: Any, loaded: Any, again: Any) -> None:
    assert type(built) is type(loaded.processor) is type(again)
    assert type(built.image_processor) is type(loaded.processor.image_processor) is type(again.image_processor)
    assert type(loaded.processor.tokenizer) is type(again.tokenizer)


def test_the_special_tokens_have_the_ids_of_llama_and_of_the_configuration(built: Any, loaded: Any, again: Any) -> None:
    config = loaded.model.config
    for processor in (built, loaded.processor, again):
        tokenizer = processor.tokenizer
        assert (tokenizer.unk_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
        assert tokenizer.convert_tokens_to_ids("<image>") == processor.image_token_id == config.image_token_id
        assert tokenizer.convert_tokens_to_ids("<pad>") == tokenizer.pad_token_id == config.pad_token_id
        assert tokenizer("hi")["input_ids"][0] == tokenizer.bos_token_id
    assert (config.text_config.bos_token_id, config.text_config.eos_token_id) == (1, 2)


@pytest.mark.parametrize("token", ["<image>", "<pad>", "<s>", "</s>", "<unk>"])
def test_a_special_token_is_one_token_wherever_it_stands(loaded: Any, token: str) -> None:
    tokenizer = loaded.processor.tokenizer
    number = tokenizer.convert_tokens_to_ids(token)

    for text in (token, f"a {token} b", f"a{token}b", f"a\n{token}"):
        assert tokenizer(text)["input_ids"].count(number) == 1 + (token == "<s>"), text
    assert tokenizer.decode([number]) == token


def test_every_id_has_its_row_in_the_embeddings(loaded: Any) -> None:
    """As published, the table is padded: ids end before its rows do."""
    assert max(loaded.processor.tokenizer.get_vocab().values()) < loaded.model.get_input_embeddings().num_embeddings
    assert TINY.vocabulary - TINY.image_token == 32064 - 32000


@pytest.mark.parametrize("text", ["A house.", "two  spaces ", "naïve ✨ 中文 🏠", "tab\tand\nbreak", "<0x41> ÿ"])
def test_any_text_survives_the_tokenizer(loaded: Any, text: str) -> None:
    tokenizer = loaded.processor.tokenizer
    ids = tokenizer(text)["input_ids"]

    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_the_vocabulary_is_learned_from_what_is_shipped() -> None:
    vocabulary, merges = llama_bpe(TINY.image_token, shipped_text())

    assert sorted(vocabulary.values()) == list(range(TINY.image_token))
    assert [vocabulary[f"<0x{byte:02X}>"] for byte in (0, 255)] == [3, 258]
    assert len(merges) > 100
    assert all(first + second in vocabulary for first, second in merges)
    assert any(token in vocabulary for token in ("▁the", "▁The"))


@pytest.mark.parametrize("sample", read_samples(SHIPPED), ids=lambda sample: sample.id)
def test_the_chat_template_makes_the_prompt_that_is_trained(llava: Any, loaded: Any, sample: Sample) -> None:
    messages = [{"role": turn.speaker, "content": turn.text} for turn in sample.turns]

    assert loaded.processor.apply_chat_template(messages) == llava.prompt(sample)["text"]
    asked = loaded.processor.apply_chat_template(messages[:1], add_generation_prompt=True)
    assert llava.prompt(sample)["text"].startswith(asked)


def test_the_chat_template_places_images_and_survives_saving(loaded: Any, again: Any) -> None:
    parts = [{"type": "image"}, {"type": "text", "text": "What?"}]

    for processor in (loaded.processor, again):
        text = processor.apply_chat_template([{"role": "user", "content": parts}], add_generation_prompt=True)
        assert text == "USER: <image>\nWhat? ASSISTANT:"


@pytest.mark.parametrize("kind", ["image", "blank", "several"])
def test_there_are_as_many_image_tokens_as_image_features(
    llava: Any, loaded: Any, of_each_kind: dict[str, Sample], kind: str
) -> None:
    sample = of_each_kind[kind]
    encoded = llava.encode(sample, loaded.processor, 2048)
    features: list[torch.Tensor] = []
    (projector,) = (m for path, m in loaded.model.named_modules() if path.endswith("multi_modal_projector"))
    hook = projector.register_forward_hook(lambda module, args, output: features.append(output))
    with torch.no_grad():
        loaded.model(**llava.collate([encoded], loaded.processor))
    hook.remove()

    tokens = int((encoded["input_ids"] == loaded.processor.image_token_id).sum())
    assert tokens == sum(one.numel() // one.shape[-1] for one in features)
    assert tokens == len(sample.images) * TINY.image_tokens > 0


def test_full_size_counts_image_tokens_alike() -> None:
    from harness.families.llava.dimensions import PUBLISHED_7B, PUBLISHED_13B

    assert PUBLISHED_7B.image_tokens == PUBLISHED_13B.image_tokens == 576
