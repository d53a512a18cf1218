"""MiniCPM-V 2.6: counts and keys in closed form, pictures with numbers, Qwen's turns, and what it shares with 2.5."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.data import SHIPPED, Sample, decoded_images, read_samples
from harness.families import check_possible, family
from harness.families.minicpm.v26 import processing, tokens
from harness.families.minicpm.v26.code_files.modeling_navit_siglip import SiglipVisionEmbeddings
from harness.families.minicpm.v26.dimensions import PUBLISHED, TINY
from harness.families.supervision import IGNORED_LABEL
from harness.planning import family_plan
from harness.recipe import Recipe
from harness.refusal import Refused

NAME = "minicpm-v-2.6"
WIDTH, INNER, NARROW = 3584, 18944, 512
EMBEDDINGS = 151_666 * WIDTH
LAYER = 2 * WIDTH**2 + WIDTH + 2 * (WIDTH * NARROW + NARROW) + 3 * WIDTH * INNER + 2 * WIDTH  # biases on q, k and v
RESAMPLER = 64 * WIDTH + 1152 * WIDTH + 4 * WIDTH**2 + 4 * WIDTH + WIDTH**2 + 6 * WIDTH
VISION_LAYER = 4 * (1152**2 + 1152) + 2 * 1152 * 4304 + 4304 + 1152 + 4 * 1152
PARTS = {
    "llm": 2 * EMBEDDINGS + 28 * LAYER + WIDTH,
    "vpm": 27 * VISION_LAYER + 70**2 * 1152 + (3 * 14**2 + 1) * 1152 + 2 * 1152,
    "resampler": RESAMPLER,
}
SQUARE, SLIM = 28 * 64 * (WIDTH + WIDTH), 28 * 64 * (WIDTH + NARROW)
BESIDE = EMBEDDINGS + RESAMPLER
MODES = {
    "full": sum(PARTS.values()),
    "llm+connector": PARTS["llm"] + RESAMPLER,
    "vision+connector": PARTS["vpm"] + RESAMPLER,
    "connector": RESAMPLER,
    "lora-qkv": SQUARE + 2 * SLIM + BESIDE,
    "lora-qkvo": 2 * SQUARE + 2 * SLIM + BESIDE,
    "lora-qk": SQUARE + SLIM + BESIDE,
    "lora-qkv+vision": SQUARE + 2 * SLIM + BESIDE + PARTS["vpm"],
    "lora-qkv+kept-modules": SQUARE + 2 * SLIM + BESIDE,
    "last-layers": RESAMPLER + EMBEDDINGS + 2 * LAYER,
}


def published_keys(vision: int, layers: int) -> set[str]:
    """The keys of the published checkpoint, written out."""
    both = ("weight", "bias")
    tower = (
        *(f"self_attn.{name}" for name in ("q_proj", "k_proj", "v_proj", "out_proj")),
        *("mlp.fc1", "mlp.fc2", "layer_norm1", "layer_norm2"),
    )
    layer = (
        *(f"self_attn.{name}_proj.weight" for name in "qkvo"),
        *(f"self_attn.{name}_proj.bias" for name in "qkv"),
        *(f"mlp.{name}_proj.weight" for name in ("gate", "up", "down")),
        *("input_layernorm.weight", "post_attention_layernorm.weight"),
    )
    return {
        *("llm.model.embed_tokens.weight", "llm.model.norm.weight", "llm.lm_head.weight"),
        *(f"llm.model.layers.{n}.{name}" for n in range(layers) for name in layer),
        "vpm.embeddings.position_embedding.weight",
        *(f"vpm.{name}.{leaf}" for name in ("embeddings.patch_embedding", "post_layernorm") for leaf in both),
        *(f"vpm.encoder.layers.{n}.{name}.{leaf}" for n in range(vision) for name in tower for leaf in both),
        *(f"resampler.{name}" for name in ("query", "proj", "kv_proj.weight")),
        *("resampler.attn.in_proj_weight", "resampler.attn.in_proj_bias"),
        *(f"resampler.attn.out_proj.{leaf}" for leaf in both),
        *(f"resampler.ln_{name}.{leaf}" for name in ("q", "kv", "post") for leaf in both),
    }


@cache
def meta(size: str) -> Any:
    return family(NAME).meta_model(size)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("minicpm-v-26")
    family(NAME).write_base(directory)
    return directory


@pytest.fixture(scope="module")
def loaded(base: Path, minicpm: Any) -> Any:
    """`minicpm` gives code files a cache of the tests' own."""
    return family(NAME).load(base, torch.float32)


def test_the_counts_follow_from_the_dimensions() -> None:
    assert sum(PARTS.values()) == 8_099_175_152
    assert RESAMPLER == 68_619_264
    assert {name: sum(p.numel() for p in getattr(meta("full"), name).parameters()) for name in PARTS} == PARTS


@pytest.mark.parametrize(("size", "layers"), [("full", (27, 28)), ("tiny", (2, 2))])
def test_the_keys_are_the_published_ones(size: str, layers: tuple[int, int]) -> None:
    keys = list(meta(size).state_dict())

    assert set(keys) == published_keys(*layers)
    assert [family(NAME).naming.canonical(key) for key in keys] == keys


def test_every_mode_trains_its_count() -> None:
    assert family_plan(NAME, "full")["modes"] == MODES


def test_tiny_has_the_modules_of_full_and_fewer_layers() -> None:
    def without_numbers(size: str) -> dict[str, str]:
        named = meta(size).named_modules()
        return {re.sub(r"\.\d+(?=\.|$)", ".N", path): type(module).__name__ for path, module in named}

    assert without_numbers("tiny") == without_numbers("full")


def test_the_special_tokens_have_the_published_ids() -> None:
    published, tiny = tokens.ids(PUBLISHED), tokens.ids(TINY)

    assert {
        "<|endoftext|>": 151643,
        "<|im_start|>": 151644,
        "<|im_end|>": 151645,
        "<image>": 151646,
        "</image>": 151647,
        "<slice>": 151656,
        "</slice>": 151657,
        "<image_id>": 151658,
        "</image_id>": 151659,
        "<|reserved_special_token_5|>": 151665,
    }.items() <= published.items()
    assert max(published.values()) + 1 == PUBLISHED.vocabulary == 151_666
    assert {token: number - TINY.ordinary for token, number in tiny.items()} == {
        token: number - PUBLISHED.ordinary for token, number in published.items()
    }


def test_a_directory_holds_the_code_that_it_needs_and_no_other(base: Path) -> None:
    assert {path.name for path in base.glob("*.py")} == {
        *("configuration_minicpm.py", "modeling_minicpmv.py", "modeling_navit_siglip.py", "resampler.py"),
        *("tokenization_minicpmv_fast.py", "image_processing_minicpmv.py", "processing_minicpmv.py"),
    }
    for path in processing.code_files():
        assert (base / path.name).read_bytes() == path.read_bytes()
        assert "harness" not in path.read_text()


def test_a_patch_has_the_position_of_its_place_in_the_picture() -> None:
    """As the transformers library spreads them for Idefics 2, where it is told rows and columns."""
    from transformers.models.idefics2.configuration_idefics2 import Idefics2VisionConfig
    from transformers.models.idefics2.modeling_idefics2 import Idefics2VisionEmbeddings

    own = SiglipVisionEmbeddings(meta("tiny").config.vision_config)
    given = meta("tiny").config.vision_config
    other = Idefics2VisionEmbeddings(
        Idefics2VisionConfig(hidden_size=given.hidden_size, image_size=given.image_size, patch_size=given.patch_size)
    )
    other.load_state_dict(own.state_dict())
    rows, columns, side = 5, 7, given.patch_size
    picture = torch.randn(1, 3, rows * side, columns * side)
    in_a_row = picture.unfold(3, side, side).unfold(2, side, side)  # picture, 3, rows, columns, across, down
    in_a_row = in_a_row.permute(0, 1, 2, 3, 5, 4).permute(0, 1, 4, 2, 3, 5).reshape(1, 3, side, -1)

    with torch.no_grad():
        mine = own(in_a_row, torch.tensor([[rows, columns]]))
        theirs = other(picture, torch.ones(1, rows, columns, dtype=torch.bool))

    assert torch.allclose(mine, theirs, atol=1e-5)


def test_pictures_have_numbers_in_a_prompt_and_in_training_only_where_they_are_cut(
    loaded: Any, of_each_kind: dict[str, Sample]
) -> None:
    sample = of_each_kind["several"]
    images = decoded_images(sample)
    image_processor = loaded.processor.image_processor
    cut = [image_processor.grid(image.size) is not None for image in images]
    prompt = loaded.processor.expanded("".join("(<image>./</image>)" for _ in images), images)
    learned = loaded.processor.tokenizer.decode(
        family(NAME).encode(sample, loaded.processor, 1 << 20)["input_ids"].tolist()
    )

    assert True in cut
    assert re.findall(r"<image_id>(\d+)</image_id><image>", prompt) == [str(n) for n in range(len(images))]
    assert re.findall(r"<image_id>(\d+)</image_id><image>", learned) == [str(n) for n in range(sum(cut))]
    assert "</slice><slice>" in prompt or "</slice>\n<slice>" in prompt


def test_every_picture_and_every_part_has_a_place_for_its_features(
    loaded: Any, of_each_kind: dict[str, Sample]
) -> None:
    encoded = family(NAME).encode(of_each_kind["several"], loaded.processor, 1 << 20)

    bounds = encoded["image_bound"]
    assert len(bounds) == len(encoded["pixel_values"]) == len(encoded["tgt_sizes"])
    assert (bounds[:, 1] - bounds[:, 0]).tolist() == [TINY.queries] * len(bounds)


def by_the_published_rule(ids: list[int], tokenizer: Any) -> list[int]:
    """The labels as the published data code finds them: by the tokens around an answer, its end forced once more."""
    opening, closing = (tokenizer.convert_tokens_to_ids(token) for token in ("<|im_start|>", "<|im_end|>"))
    assistant, line = tokenizer("assistant\n")["input_ids"]
    answers: set[int] = set()
    for at, token in enumerate(ids[:-1]):
        if token == opening and ids[at + 1 : at + 3] == [assistant, line]:
            answers |= set(range(at + 3, ids.index(closing, at + 3) + 1))
    labels = [IGNORED_LABEL] * len(ids)
    for at in range(1, len(ids)):
        if at in answers:
            labels[at - 1] = ids[at]
        elif at - 1 in answers:
            labels[at - 1] = closing
    return labels


@pytest.mark.parametrize("sample", read_samples(SHIPPED), ids=lambda sample: sample.id)
def test_the_shipped_samples_have_the_labels_of_the_published_rule(loaded: Any, sample: Sample) -> None:
    encoded = family(NAME).encode(sample, loaded.processor, 1 << 20)

    ids = encoded["input_ids"].tolist()
    assert encoded["labels"].tolist() == by_the_published_rule(ids, loaded.processor.tokenizer)
    assert not hasattr(loaded.processor.tokenizer, "eot_id")


def test_a_conversation_is_written_as_the_chat_template_writes_it(loaded: Any, of_each_kind: dict[str, Sample]) -> None:
    sample = of_each_kind["text"]
    turns = [{"role": turn.speaker, "content": turn.text} for turn in sample.turns]

    written = loaded.processor.tokenizer.apply_chat_template(turns, tokenize=False)

    assert family(NAME).prompt(sample)["text"] == written


def test_text_may_stand_beside_pictures_and_frozen_embeddings_not_under_checkpointing() -> None:
    mixed = {"family": NAME, "trust_remote_code": True, "data": {"mix": ["image", "text"], "batch_size": 2}}
    check_possible(Recipe(**mixed, tune="all", checkpointing=True))

    with pytest.raises(Refused, match="checkpointing beside frozen embeddings"):
        check_possible(Recipe(**mixed, tune="connector", checkpointing=True))


def test_a_batch_of_text_gives_tower_and_resampler_zeros(
    base: Path, minicpm: Any, of_each_kind: dict[str, Sample]
) -> None:
    own = family(NAME).load(base, torch.float32)
    encoded = [family(NAME).encode(of_each_kind["text"], own.processor, 2048)]

    family(NAME).loss(own.model.train(), family(NAME).collate(encoded, own.processor)).backward()

    gradients = [p.grad for p in (*own.model.vpm.parameters(), *own.model.resampler.parameters())]
    assert all(gradient is not None and not gradient.any() for gradient in gradients)


def test_what_changes_with_sizes_is_on_the_same_side() -> None:
    for d in (PUBLISHED, TINY):
        assert d.hidden % 128 == 0
        assert d.key_value_heads < d.heads
    grids = TINY.vision_image // TINY.patch
    assert TINY.resolution // TINY.patch < grids
