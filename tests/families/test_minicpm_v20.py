"""MiniCPM-V 2.0: the published counts, keys and trainable sets, and what sets it apart from 2.5."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.data import SHIPPED, Sample, read_samples
from harness.families import check_possible, family
from harness.families.family import components_of
from harness.families.minicpm.templates import ASSISTANT, USER
from harness.families.minicpm.v20 import processing
from harness.families.minicpm.v20.code_files.modeling_minicpm import MiniCPMForCausalLM, MiniCPMModel, branch_scale
from harness.families.minicpm.v20.code_files.resampler import Resampler, position_table
from harness.families.minicpm.v20.code_files.vision_transformer import VisionTransformer
from harness.families.minicpm.v20.dimensions import PUBLISHED, TINY
from harness.families.supervision import IGNORED_LABEL
from harness.planning import family_plan
from harness.recipe import Recipe
from harness.seams import Seams
from harness.tuning import tune

NAME = "minicpm-v-2"
TOTAL = 3_434_965_792
POSITIONS = 64 * 2304
EMBEDDINGS = 122_753 * 2304
LAYER = 4 * 2304**2 + 3 * 2304 * 5760 + 2 * 2304
BLOCK = 4 * 1152**2 + 2 * 1152 * 4304 + 3 * 1152 + 4304 + 2 * 1152 + 4 * 1152  # two matrices' biases, two norms
RESAMPLER = 2 * POSITIONS + 1152 * 2304 + 4 * 2304**2 + 4 * 2304 + 2304**2 + 6 * 2304
TRAINED = RESAMPLER - POSITIONS
PARTS = {
    "llm": 2 * EMBEDDINGS + 40 * LAYER + 2304,
    "vpm": 26 * BLOCK + 27**2 * 1152 + (3 * 14**2 + 1) * 1152 + 2 * 1152,
    "resampler": RESAMPLER,
}
PAIRS = 40 * 64 * (2304 + 2304)
MODES = {
    "full": TOTAL - POSITIONS,
    "llm+connector": PARTS["llm"] + TRAINED,
    "vision+connector": PARTS["vpm"] + TRAINED,
    "connector": TRAINED,
    "lora-qkv": 3 * PAIRS + EMBEDDINGS + TRAINED,
    "lora-qkvo": 4 * PAIRS + EMBEDDINGS + TRAINED,
    "lora-qkv+vision": 3 * PAIRS + EMBEDDINGS + TRAINED + PARTS["vpm"],
    "lora-qkv+kept-modules": 3 * PAIRS + EMBEDDINGS + TRAINED,
    "last-layers": TRAINED + EMBEDDINGS + 2 * LAYER,
}


def published_keys(blocks: int, layers: int) -> set[str]:
    """The keys of the published checkpoint, written out."""
    both = ("weight", "bias")
    block = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    layer = (
        *(f"self_attn.{name}_proj" for name in "qkvo"),
        *(f"mlp.{name}_proj" for name in ("gate", "up", "down")),
        *("input_layernorm", "post_attention_layernorm"),
    )
    return {
        *("llm.model.embed_tokens.weight", "llm.model.norm.weight", "llm.lm_head.weight"),
        *(f"llm.model.layers.{n}.{name}.weight" for n in range(layers) for name in layer),
        *("vpm.pos_embed", "vpm.norm.weight", "vpm.norm.bias"),
        *(f"vpm.patch_embed.proj.{leaf}" for leaf in both),
        *(f"vpm.blocks.{n}.{name}.{leaf}" for n in range(blocks) for name in block for leaf in both),
        *(f"resampler.{name}" for name in ("pos_embed", "query", "proj", "kv_proj.weight")),
        *("resampler.attn.in_proj_weight", "resampler.attn.in_proj_bias"),
        *(f"resampler.attn.out_proj.{leaf}" for leaf in both),
        *(f"resampler.ln_{name}.{leaf}" for name in ("q", "kv", "post") for leaf in both),
    }


@cache
def meta(size: str) -> Any:
    return family(NAME).meta_model(size)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("minicpm-v-2")
    family(NAME).write_base(directory)
    return directory


@pytest.fixture(scope="module")
def loaded(base: Path, minicpm: Any) -> Any:
    """`minicpm` gives code files a cache of the tests' own."""
    return family(NAME).load(base, torch.float32)


@pytest.fixture
def model(base: Path, minicpm: Any) -> Any:
    return family(NAME).load(base, torch.float32).model


def batch(loaded: Any, samples: list[Sample]) -> Any:
    encoded = [family(NAME).encode(sample, loaded.processor, 2048) for sample in samples]
    return family(NAME).collate(encoded, loaded.processor)


def test_the_counts_are_the_published_ones() -> None:
    counts: Counter[str] = Counter()
    for path, parameter in meta("full").named_parameters():
        counts[components_of(family(NAME), path)] += parameter.numel()

    assert PARTS == {"llm": 3_007_703_808, "vpm": 397_747_744, "resampler": 29_514_240}
    assert {name: sum(p.numel() for p in getattr(meta("full"), name).parameters()) for name in PARTS} == PARTS
    assert counts.total() == sum(PARTS.values()) == TOTAL
    assert counts["vision"] == PARTS["vpm"]
    assert counts["connector"] == RESAMPLER


@pytest.mark.parametrize(("size", "blocks", "layers", "count"), [("full", 26, 40, 694), ("tiny", 2, 2, 64)])
def test_the_keys_are_the_published_ones(size: str, blocks: int, layers: int, count: int) -> None:
    keys = list(meta(size).state_dict())

    assert set(keys) == published_keys(blocks, layers)
    assert len(keys) == count
    assert [family(NAME).naming.canonical(key) for key in keys] == keys


def test_every_mode_trains_its_count_and_never_the_fixed_positions() -> None:
    assert family_plan(NAME, "full")["modes"] == MODES


def test_tiny_has_the_modules_of_full_and_fewer_layers() -> None:
    def without_numbers(size: str) -> dict[str, type]:
        return {re.sub(r"\.\d+(?=\.|$)", ".N", path): type(module) for path, module in meta(size).named_modules()}

    assert without_numbers("tiny") == without_numbers("full")


def test_a_directory_holds_the_code_that_it_needs_and_no_other(base: Path) -> None:
    assert {path.name for path in base.glob("*.py")} == {
        *("configuration_minicpm.py", "modeling_minicpm.py", "modeling_minicpmv.py", "resampler.py"),
        *("vision_transformer.py", "tokenization_minicpmv.py", "image_processing_minicpmv.py"),
        "processing_minicpmv.py",
    }
    for path in processing.code_files():
        assert (base / path.name).read_bytes() == path.read_bytes()
        assert "harness" not in path.read_text()
    assert json.loads((base / "preprocessor_config.json").read_text())["version"] == 2.0


def test_the_fixed_positions_are_in_the_checkpoint_and_come_frozen(model: Any) -> None:
    assert "resampler.pos_embed" in model.state_dict()
    assert [path for path, p in model.named_parameters() if not p.requires_grad] == ["resampler.pos_embed"]


def test_made_anew_the_positions_are_those_of_the_grid() -> None:
    resampler = Resampler(2, 128, 64)
    type(meta("tiny"))._init_weights(meta("tiny"), resampler)

    assert torch.equal(resampler.pos_embed, position_table(2, 2, 128))
    assert not torch.equal(resampler.pos_embed[1], resampler.pos_embed[2])


LORA = {"rank": 4, "targets": r"llm\..*\.(q_proj|v_proj)"}


def test_peft_thaws_them_in_its_copy_and_tuning_freezes_them_again(model: Any) -> None:
    import peft

    options = {"r": 4, "target_modules": LORA["targets"], "modules_to_save": ["resampler"]}
    adapted = peft.get_peft_model(family(NAME).meta_model("tiny"), peft.LoraConfig(**options))
    recipe = Recipe(family=NAME, tune=["connector"], lora=LORA)
    tuned = tune(model, recipe, family(NAME), Seams())

    for found, trains in ((adapted, True), (tuned, False)):
        copy = found.base_model.model.resampler.modules_to_save["default"]
        assert copy.pos_embed.requires_grad is trains
        assert copy.query.requires_grad


def test_text_embeddings_are_scaled_and_features_are_not(loaded: Any, of_each_kind: dict[str, Sample]) -> None:
    data = batch(loaded, [of_each_kind["image"]])
    with torch.no_grad():
        made = loaded.model.eval().get_vllm_embedding(data)[0]
        plain = loaded.model.llm.model.embed_tokens(data["input_ids"])[0]
        features = loaded.model.get_vision_embedding(list(data["pixel_values"][0])).flatten(0, 1)

    places = torch.zeros(len(plain), dtype=torch.bool)
    for start, end in data["image_bound"][0].tolist():
        places[start:end] = True
    assert torch.equal(made[places], features)
    assert torch.equal(made[~places], plain[~places] * 12)


def test_branches_and_logits_are_scaled(loaded: Any) -> None:
    llm = loaded.model.llm.eval()
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        logits = llm(ids).logits
        states = llm.model.embed_tokens(ids) * 12
        tables = llm.model.rotary_emb(states, torch.arange(3)[None])
        mask = torch.full((1, 1, 3, 3), float("-inf")).triu(1)
        for layer in llm.model.layers:
            attended = super(type(layer.self_attn), layer.self_attn).forward(
                layer.input_layernorm(states), position_embeddings=tables, attention_mask=mask
            )[0]
            states = states + attended * (1.4 / 2**0.5)
            added = super(type(layer.mlp), layer.mlp).forward(layer.post_attention_layernorm(states))
            states = states + added * (1.4 / 2**0.5)
        expected = llm.lm_head(llm.model.norm(states) / (128 / 64))

    assert torch.allclose(logits, expected, atol=1e-4)
    assert branch_scale(llm.config) == 1.4 / 2**0.5
    assert isinstance(llm.model, MiniCPMModel) or type(llm).__name__ == MiniCPMForCausalLM.__name__


def test_positions_of_the_tower_are_resampled_where_the_grid_is_another(loaded: Any) -> None:
    sizes = {
        tuple(picture.shape[-2:])
        for sample in read_samples(SHIPPED)
        for picture in family(NAME).encode(sample, loaded.processor, 1 << 20)["pixel_values"]
    }

    assert (TINY.vision_image, TINY.vision_image) in sizes
    assert len(sizes) > 1
    tower = VisionTransformer(24, 12, 8, 1, 2, 16)
    torch.nn.init.normal_(tower.pos_embed)
    assert tower.positions(2, 2) is tower.pos_embed
    assert tower.positions(3, 5).shape == (1, 15, 8)
    assert tower(torch.zeros(1, 3, 30, 24)).shape == (1, 6, 8)  # padded below to whole patches


def test_text_may_stand_beside_pictures_and_gives_them_no_gradient_but_zeros(
    model: Any, loaded: Any, of_each_kind: dict[str, Sample]
) -> None:
    check_possible(
        Recipe(family=NAME, tune="all", trust_remote_code=True, data={"mix": ["image", "text"], "batch_size": 2})
    )
    family(NAME).loss(model.train(), batch(loaded, [of_each_kind["image"], of_each_kind["text"]])).backward()
    assert all(p.grad is not None for p in model.vpm.parameters())
    assert any(bool(p.grad.any()) for p in model.vpm.parameters())

    model.zero_grad()
    family(NAME).loss(model, batch(loaded, [of_each_kind["text"]])).backward()
    trained = [p for p in (*model.vpm.parameters(), *model.resampler.parameters()) if p.requires_grad]
    assert not any(bool(p.grad.any()) for p in trained)


def test_checkpointing_over_frozen_embeddings_is_possible_here() -> None:
    """In 2.5 it is refused: features are written into the embeddings' own output, here into what is made of it."""
    check_possible(Recipe(family=NAME, tune="connector", checkpointing=True, trust_remote_code=True))


def by_the_published_rule(sample: Sample, tokenizer: Any, said: list[str]) -> tuple[list[int], list[int]]:
    """Ids and labels from messages tokenized one by one; an end after the last, and once more after each answer."""
    ids: list[int] = []
    mine: list[bool] = []
    for number, (turn, text) in enumerate(zip(sample.turns, said, strict=True)):
        prefix = ASSISTANT if turn.speaker == "assistant" else USER
        last = number == len(said) - 1
        for part, answer in ((prefix, False), (text + ("</s>" if last else ""), turn.speaker == "assistant")):
            found = tokenizer(part)["input_ids"][1:]  # without the begin token
            ids += found
            mine += [answer] * len(found)
    labels = [IGNORED_LABEL] * len(ids)
    for at in range(1, len(ids)):
        if mine[at]:
            labels[at - 1] = ids[at]
        elif mine[at - 1]:
            labels[at - 1] = tokenizer.eos_token_id
    return ids, labels


@pytest.mark.parametrize("sample", read_samples(SHIPPED), ids=lambda sample: sample.id)
def test_the_shipped_samples_have_the_ids_and_labels_of_the_published_rule(loaded: Any, sample: Sample) -> None:
    from harness.data import decoded_images

    processor, images, said = loaded.processor, decoded_images(sample), []
    for turn in sample.turns:
        count = turn.text.count("<image>")
        marked = turn.text.replace("<image>", "(<image>./</image>)").strip()
        said.append(processor.expanded(marked, images[:count]))
        images = images[count:]

    encoded = family(NAME).encode(sample, processor, 1 << 20)

    expected = by_the_published_rule(sample, processor.tokenizer, said)
    assert (encoded["input_ids"].tolist(), encoded["labels"].tolist()) == expected
    assert encoded["input_ids"].tolist().count(processor.tokenizer.eos_token_id) == 1


def test_what_changes_with_sizes_is_on_the_same_side() -> None:
    for d in (PUBLISHED, TINY):
        assert d.hidden % 128 == 0
        assert d.hidden > d.width_of_base
        assert round(d.queries**0.5) ** 2 == d.queries > 1
        assert d.vision_layers > 2
