"""What Mini-Gemini cannot do is refused before anything is built; what tuning makes is what the intent promises."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.data import SHIPPED, Sample, read_samples, select
from harness.data.sample import Turn
from harness.families import check_possible, family
from harness.families.mini_gemini.batches import IMAGE_TOKEN_INDEX
from harness.families.supervision import IGNORED_LABEL
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.seams import Seams
from harness.tuning import tune

BLOCKS = "model.vlm_uni_"


def recipe(member: str = "7b", **fields: Any) -> Recipe:
    return Recipe.model_validate({"family": f"mini-gemini-{member}", "trust_remote_code": True, **fields})


def trained(wanted: Recipe) -> set[str]:
    chosen = family(wanted.family)
    model = tune(chosen.meta_model("tiny"), wanted, chosen, Seams())
    return {chosen.naming.canonical(path) for path, p in model.named_parameters() if p.requires_grad}


def keys(member: str) -> set[str]:
    chosen = family(f"mini-gemini-{member}")
    return {chosen.naming.canonical(path) for path, _ in chosen.meta_model("tiny").named_parameters()}


PARTS = [
    *("vision", "vision_aux", "connector", "language", "embeddings", "lm_head", "llm", "towers", "all"),
    pytest.param({"language": {"last": 1}}, id="last layer"),
    pytest.param({"vision": {"last": 2}}, id="upper half of the first tower"),
    pytest.param({"vision_aux": {"last": 1}}, id="last block of each stage of the second"),
    pytest.param({"connector": {"named": "vlm_uni_"}}, id="blocks without the projector"),
    pytest.param({"connector": {"named": "mm_projector"}}, id="projector without the blocks"),
]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("member", ["7b", "8x7b"])
def test_exactly_what_is_meant_trains(member: str, part: Any) -> None:
    wanted = recipe(member, tune=part)
    intent = family(wanted.family).intent(wanted)

    assert trained(wanted) == {key for key in keys(member) if intent.names_as_trained(key)} != set()


def test_the_last_block_of_each_stage_is_what_optimizing_the_second_tower_trains() -> None:
    found = trained(recipe(tune={"vision_aux": {"last": 1}}))

    assert {key.split(".blocks.")[0][-1] + key.split(".blocks.")[1][:1] for key in found} == {"00", "10", "22", "30"}
    with pytest.raises(Refused, match="vision_aux has 1 layers, not 2"):
        trained(recipe(tune={"vision_aux": {"last": 2}}))


@pytest.mark.parametrize("member", ["2b", "7b", "8x7b"])
def test_the_blocks_train_under_every_option_of_the_scripts(member: str) -> None:
    chosen = family(f"mini-gemini-{member}")
    blocks = {key for key in keys(member) if key.startswith(BLOCKS)}
    assert len(blocks) == 12

    for mode, settings in chosen.modes().items():
        wanted = recipe(member, data={"mix": ["image"]}, **settings)
        intent = chosen.intent(wanted.model_copy(update={"size": "full"}))
        promised = {key for key in blocks if intent.names_as_trained(key)}
        assert promised == (set() if mode == "lora-alone" else blocks), mode


@pytest.mark.parametrize(("member", "head"), [("7b", True), ("8x7b", True), ("2b", False)])
def test_a_frozen_backbone_leaves_the_output_layer_unless_it_is_the_embeddings(member: str, head: bool) -> None:
    found = trained(recipe(member, **family(f"mini-gemini-{member}").modes()["freeze_backbone"]))

    assert ("lm_head.weight" in found) == head
    assert "model.embed_tokens.weight" not in found
    assert not any(key.startswith("model.layers.") for key in found)


@pytest.mark.parametrize(("member", "modules"), [("7b", 7), ("2b", 7), ("8x7b", 4 + 1 + 3 * 4)])
def test_lora_meets_the_linear_layers_of_the_language_model_alone(member: str, modules: int) -> None:
    found = trained(recipe(member, **family(f"mini-gemini-{member}").modes()["lora"]))
    pairs = {key for key in found if ".lora_" in key}

    assert len(pairs) == 2 * 2 * modules
    assert all(key.startswith("model.layers.") for key in pairs)
    naming = family(f"mini-gemini-{member}").naming
    assert {naming.component(key) for key in found - pairs} == {"connector"}


def test_several_pictures_of_a_sample_are_refused_where_pictures_are_cut(mini_gemini: Any) -> None:
    """The thread: shape '[3, 2, 336, 2, 336]' is invalid for input of size 2709504, which is two pictures of 672."""
    assert 2 * 3 * 672 * 672 == 2_709_504
    with pytest.raises(Refused, match=r"data\.mix names several.*image_grid 2") as refused:
        check_possible(recipe("7b-hd", tune="connector", data={"mix": ["image", "several"]}))
    assert refused.value.do
    check_possible(recipe("7b", tune="connector", data={"mix": ["image", "several"]}))

    several = select(read_samples(SHIPPED), ("several",), 1)[0]
    processors = {member: mini_gemini.loaded(member).processor for member in ("7b", "7b-hd")}
    with pytest.raises(Refused, match=f"sample {several.id}: 2 images, where image_grid 2 takes one"):
        mini_gemini.family("7b-hd").encode(several, processors["7b-hd"], 4096)
    assert len(mini_gemini.family("7b").encode(several, processors["7b"], 4096)["pixel_values"]) == 2


@pytest.mark.parametrize("method", ["prompt_tuning", "p_tuning"])
def test_prompts_of_peft_are_refused(method: str) -> None:
    with pytest.raises(Refused, match=f"adapter.method {method}: .*-200"):
        check_possible(recipe(adapter={"method": method, "options": {"task_type": "CAUSAL_LM"}}))


def test_prefixes_are_refused_for_what_generate_would_be_given() -> None:
    with pytest.raises(Refused, match=r"adapter.method prefix_tuning: .* generate does not take"):
        check_possible(recipe(adapter={"method": "prefix_tuning", "options": {"task_type": "CAUSAL_LM"}}))


@torch.no_grad()
def test_peft_cannot_embed_the_places_of_pictures(mini_gemini: Any) -> None:
    """What the refusal says."""
    import peft

    chosen, model = mini_gemini.family("7b"), mini_gemini.fresh("7b").model
    adapted = peft.get_peft_model(model, peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2))

    with pytest.raises(IndexError):
        adapted(**chosen.arguments(mini_gemini.batch("7b", "image")))


def test_code_that_is_not_trusted_is_refused() -> None:
    with pytest.raises(Refused, match="trust_remote_code"):
        check_possible(recipe(tune="all", trust_remote_code=False))


# Templates, tokens and the budget


ENDS = {"7b": "</s>", "8b": "<|eot_id|>", "2b": "<end_of_turn>", "8x7b": "</s>", "34b": "<|im_end|>"}
PADS = {"7b": "<unk>", "8b": "<|reserved_special_token_0|>", "2b": "<unk>", "8x7b": "<unk>", "34b": "<unk>"}


@pytest.mark.parametrize("member", ENDS)
def test_answers_and_the_end_of_their_turn_are_learned_and_nothing_else(member: str, mini_gemini: Any) -> None:
    chosen, processor = mini_gemini.family(member), mini_gemini.loaded(member).processor
    tokenizer = processor.tokenizer
    turns = (
        Turn("user", "<image>\nWhat?"),
        Turn("assistant", "Red."),
        Turn("user", "And?"),
        Turn("assistant", "Blue."),
    )
    picture = select(read_samples(SHIPPED), ("image",), 1)[0].images
    encoded = chosen.encode(Sample("two", turns, picture), processor, 2048)
    ids, labels = encoded["input_ids"], encoded["labels"]

    assert (
        tokenizer.decode(labels[labels != IGNORED_LABEL]).replace(" ", "") == f"Red.{ENDS[member]}Blue.{ENDS[member]}"
    )
    assert torch.equal(ids[labels != IGNORED_LABEL], labels[labels != IGNORED_LABEL])
    assert int((ids == IMAGE_TOKEN_INDEX).sum()) == 25
    assert int((ids == tokenizer.bos_token_id).sum()) == 1
    assert ids[0] == tokenizer.bos_token_id


@pytest.mark.parametrize("member", PADS)
def test_padding_is_the_unknown_token_except_over_llama_3(member: str, mini_gemini: Any) -> None:
    tokenizer = mini_gemini.loaded(member).processor.tokenizer
    tokens = mini_gemini.family(member).template.tokens

    assert tokenizer.pad_token == PADS[member]
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (
        tokens.ids.begin,
        tokens.ids.end,
        tokens.ids.pad,
    )
    assert len(tokenizer) == mini_gemini.loaded(member).model.config.vocab_size
    batch = mini_gemini.batch(member, "text", "image")
    padding = batch["input_ids"][batch["attention_mask"] == 0]
    assert padding.numel()
    assert padding.eq(tokenizer.pad_token_id).all()


def test_versions_of_the_template_are_those_of_the_scripts() -> None:
    members = ("2b", "7b", "8b", "13b", "8x7b", "34b")

    assert [family(f"mini-gemini-{member}").template.version for member in members] == [
        *("gemma", "v1", "llama_3", "v1", "mistral_instruct", "chatml_direct")
    ]


def test_a_picture_that_is_cut_takes_five_times_the_places(mini_gemini: Any) -> None:
    """At full size 2880 of them, which a length of 2048 does not hold: the scripts take 4096."""
    (sample,) = select(read_samples(SHIPPED), ("image",), 1)
    processors = {member: mini_gemini.loaded(member).processor for member in ("7b", "7b-hd")}
    assert [one.image_processor.tokens_of_a_picture for one in processors.values()] == [25, 125]

    mini_gemini.family("7b").encode(sample, processors["7b"], 100)
    with pytest.raises(Refused, match="125 stand for its pictures"):
        mini_gemini.family("7b-hd").encode(sample, processors["7b-hd"], 100)
