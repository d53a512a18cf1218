"""What MiniCPM-V cannot do is refused before anything is built, and what tuning makes is what the intent promises."""

from __future__ import annotations

from typing import Any

import pytest

from harness.families import check_possible, family
from harness.planning import family_plan
from harness.recipe import Recipe
from harness.recipe.fields import PROMPT_METHODS
from harness.refusal import Refused
from harness.seams import Seams
from harness.tuning import tune

NAME = "minicpm-llama3-v-2.5"
IMAGES = {"mix": ["image", "several"]}
LORA = {"rank": 4, "targets": r"llm\..*\.(q_proj|v_proj)"}


def recipe(**fields: Any) -> Recipe:
    return Recipe.model_validate({"family": NAME, "trust_remote_code": True, "data": IMAGES, **fields})


@pytest.mark.parametrize(
    ("mix", "size", "kinds"),
    [
        (["image", "text"], 2, "micro-batch 0 holds image and text"),
        (["image", "text", "blank", "several"], 2, "micro-batch 0 holds image and text"),
        (["image", "several", "text"], 2, "micro-batch 1 holds text and image"),
        (["text", "text", "image"], 3, "micro-batch 0 holds text and text and image"),
    ],
)
def test_text_beside_images_in_one_batch_is_refused(mix: list[str], size: int, kinds: str) -> None:
    with pytest.raises(Refused) as refused:
        check_possible(recipe(tune="all", data={"mix": mix, "batch_size": size}))

    assert kinds in refused.value.what
    assert "data.mix" in refused.value.what
    assert "data.batch_size: 1" in str(refused.value.do)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("mix", "size"),
    [
        (["image", "several", "text", "text"], 2),
        (["image", "text", "blank", "several"], 1),
        (["text"], 3),
        (["image", "blank", "several"], 2),
    ],
)
def test_batches_of_one_sort_are_possible(mix: list[str], size: int) -> None:
    check_possible(recipe(tune="all", data={"mix": mix, "batch_size": size}))


def test_a_mix_is_judged_by_the_batches_there_will_be() -> None:
    """One step of two micro-batches sees four samples; the second step comes to the fifth, and round again."""
    data = {"mix": ["image", "image", "text", "text", "image"], "batch_size": 2}
    possible = recipe(tune="all", data=data, steps=1, optimizer={"accumulation": 2})

    check_possible(possible)
    with pytest.raises(Refused, match="micro-batch 3"):
        check_possible(possible.model_copy(update={"steps": 2}))


@pytest.mark.parametrize(
    ("fields", "possible"),
    [
        ({"tune": ["connector"]}, False),
        ({"tune": ["vision", "connector"]}, False),
        ({"tune": ["connector", "llm"]}, True),
        ({"tune": ["connector"], "lora": LORA}, False),
        ({"tune": ["connector", "embeddings"], "lora": LORA}, True),
        ({"lora": {**LORA, "modules_to_save": ["embed_tokens"]}}, True),
    ],
)
def test_checkpointing_needs_embeddings_that_train(fields: dict[str, Any], possible: bool) -> None:
    check_possible(recipe(**fields))
    if possible:
        check_possible(recipe(**fields, checkpointing=True))
    else:
        with pytest.raises(Refused, match="checkpointing beside frozen embeddings") as refused:
            check_possible(recipe(**fields, checkpointing=True))
        assert refused.value.do


def test_code_that_is_not_trusted_is_refused() -> None:
    with pytest.raises(Refused, match="trust_remote_code"):
        check_possible(recipe(tune="all", trust_remote_code=False))


def test_language_weights_cannot_train_and_carry_lora() -> None:
    """The published script says so after it has loaded gigabytes."""
    with pytest.raises(ValueError, match="cannot be fully tuned and carry an adapter"):
        recipe(tune=["language"], lora=LORA)


def test_targets_of_this_model_meet_nothing_in_a_plain_llama() -> None:
    """The adapter on the wrong base: its targets begin with `llm.`, and peft matches whole paths."""
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
    plain = LlamaForCausalLM(LlamaConfig(vocab_size=32, **sizes))

    with pytest.raises(Refused, match=r"Target modules .* not found in the base model"):
        tune(plain, recipe(lora=family(NAME).modes()["lora-qkv"]["lora"]), family(NAME), Seams())


def adalora(**options: Any) -> Recipe:
    return recipe(adapter={"method": "adalora", "targets": LORA["targets"], "options": {"total_step": 4, **options}})


def test_a_regularisation_that_would_be_added_to_no_loss_is_refused() -> None:
    for options in ({}, {"orth_reg_weight": 0.1}):
        with pytest.raises(Refused, match="orth_reg_weight beside a loss that is computed outside") as refused:
            check_possible(adalora(**options))
        assert refused.value.do == "set orth_reg_weight: 0"

    check_possible(adalora(orth_reg_weight=0))


@pytest.mark.parametrize("method", PROMPT_METHODS)
def test_prompts_before_a_dict_are_refused(method: str) -> None:
    with pytest.raises(Refused, match="this model's forward takes one dict") as refused:
        check_possible(recipe(adapter={"method": method, "options": {"task_type": "CAUSAL_LM"}}))

    assert f"adapter.method {method}" in refused.value.what
    assert refused.value.do


@pytest.mark.parametrize("method", PROMPT_METHODS)
def test_peft_cannot_put_prompts_before_a_dict(method: str) -> None:
    """What the refusal says: peft looks for input_ids among the forward's own arguments."""
    import peft
    import torch

    model = family(NAME).meta_model("tiny").to_empty(device="cpu")
    config = peft.PEFT_TYPE_TO_CONFIG_MAPPING[method.upper()](task_type="CAUSAL_LM", num_virtual_tokens=2)
    adapted = peft.get_peft_model(model, config)

    with pytest.raises(ValueError, match="either input_ids or inputs_embeds"):
        adapted(data={"input_ids": torch.ones(1, 3, dtype=torch.long)}, use_cache=False)


def trained(wanted: Recipe) -> set[str]:
    model = tune(family(NAME).meta_model("tiny"), wanted, family(NAME), Seams())
    return {family(NAME).naming.canonical(path) for path, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(
    "part",
    [
        *("vision", "connector", "language", "embeddings", "lm_head", "llm", "towers", "all"),
        pytest.param({"language": {"last": 1}}, id="last layer"),
        pytest.param({"vision": {"last": 2}}, id="all layers of the tower, by number"),
        pytest.param({"connector": {"named": ["query", "proj$"]}}, id="bare parameters by name"),
        pytest.param({"vision": {"named": "bias"}}, id="biases alone"),
    ],
)
def test_exactly_what_is_meant_trains(part: Any) -> None:
    wanted = recipe(tune=part)
    intent = family(NAME).intent(wanted)

    keys = family(NAME).meta_model("tiny").state_dict()
    assert trained(wanted) == {key for key in keys if intent.names_as_trained(key)} != set()


@pytest.mark.parametrize(("mode", "modules"), [("lora-qkv", 3), ("lora-qkvo", 4), ("lora-qk", 2)])
def test_lora_meets_the_projections_of_the_language_model_alone(mode: str, modules: int) -> None:
    keys = trained(recipe(**family(NAME).modes()[mode]))

    pairs = {key for key in keys if ".lora_" in key}
    assert all(key.startswith("llm.model.layers.") for key in pairs)
    assert len(pairs) == 2 * modules * 2
    beside = {key for key in keys if ".lora_" not in key}
    assert {family(NAME).naming.component(key) for key in beside} == {"connector", "embeddings"}


def test_every_mode_is_possible_and_no_two_train_as_much_but_for_one_said_in_two_ways() -> None:
    for settings in family(NAME).modes().values():
        check_possible(recipe(**settings))

    counts = family_plan(NAME, "tiny")["modes"]
    assert counts.pop("lora-qkv+kept-modules") == counts["lora-qkv"]
    assert len(set(counts.values())) == len(counts)


def test_without_images_no_gradient_reaches_what_only_images_feed() -> None:
    intent = family(NAME).intent(recipe(tune="all", data={"mix": ["text"]}))

    unreached = {key for key in family(NAME).meta_model("tiny").state_dict() if not intent.reaches(key)}
    assert {family(NAME).naming.component(key) for key in unreached} == {"vision", "connector"}
    assert not intent.has_images
