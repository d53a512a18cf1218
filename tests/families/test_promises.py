"""What a recipe promises, worked out from published tables, is what tuning with the real libraries makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.adapter_targets import Tree, targeted
from harness.families import family
from harness.planning import family_plan
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.seams import Seams
from harness.tuning import tune

NAME = "llava-1.5-7b"
NAMED = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
LANGUAGE_ONLY = rf".*language_model\..*\.({'|'.join(NAMED)})"


@pytest.fixture(scope="module")
def full() -> Any:
    return family(NAME).meta_model("full")


def promised(recipe: Recipe, size: str, model: Any) -> int:
    """How many parameters the intent lets train: those it names, and rank × (inputs + outputs) per adapted module."""
    chosen = family(NAME)
    intent = chosen.intent(recipe.model_copy(update={"size": size}))
    own = sum(p.numel() for n, p in model.named_parameters() if intent.names_as_trained(chosen.naming.canonical(n)))
    if intent.adapter is None:
        return own
    modules = {path: f"{type(m).__module__}.{type(m).__qualname__}" for path, m in model.named_modules() if path}
    met = targeted(intent.adapter, Tree(modules, frozenset()))
    linear = [model.get_submodule(path) for path in met]
    return own + sum(intent.adapter.rank * (module.in_features + module.out_features) for module in linear)


@pytest.mark.parametrize("name", ["llava-1.5-7b", "llava-1.5-13b"])
def test_every_mode_trains_what_its_intent_promises(name: str) -> None:
    plan = family_plan(name, "tiny")
    model = family(name).meta_model("tiny")
    modes = {mode: Recipe(family=name, **settings) for mode, settings in family(name).modes().items()}

    assert plan["modes"] == {mode: promised(recipe, "tiny", model) for mode, recipe in modes.items()}
    assert len(set(plan["modes"].values())) == len(modes)


@pytest.mark.slow
def test_every_mode_trains_what_its_intent_promises_at_full_size(full: Any) -> None:
    plan = family_plan(NAME, "full")
    modes = {mode: Recipe(family=NAME, **settings) for mode, settings in family(NAME).modes().items()}

    assert plan["modes"] == {mode: promised(recipe, "full", full) for mode, recipe in modes.items()}


@pytest.mark.parametrize(
    ("targets", "components", "count"),
    [
        pytest.param(LANGUAGE_ONLY, ["language"], 39_976_960, id="language model alone"),
        pytest.param(NAMED, ["vision", "language"], 42_336_256, id="plain names also hit the vision tower"),
    ],
)
def test_lora_of_rank_16_has_the_known_counts(targets: Any, components: list[str], count: int) -> None:
    model = family(NAME).meta_model("full")
    recipe = Recipe.model_validate({"family": NAME, "lora": {"rank": 16, "targets": targets, "components": components}})

    assert promised(recipe, "full", model) == count
    tuned = tune(model, recipe, family(NAME), Seams())
    assert sum(p.numel() for p in tuned.parameters() if p.requires_grad) == count


def trained(recipe: Recipe) -> set[str]:
    """Keys that train once the model is tuned."""
    chosen = family(NAME)
    model = tune(chosen.meta_model("tiny"), recipe, chosen, Seams())
    return {chosen.naming.canonical(path) for path, p in model.named_parameters() if p.requires_grad}


def meant(recipe: Recipe) -> set[str]:
    """Keys that the intent lets train."""
    chosen = family(NAME)
    intent = chosen.intent(recipe)
    keys = map(chosen.naming.canonical, chosen.meta_model("tiny").state_dict())
    return {key for key in keys if intent.names_as_trained(key)}


@pytest.mark.parametrize(
    "part",
    [
        *("vision", "connector", "language", "embeddings", "lm_head", "llm", "all"),
        pytest.param({"language": {"last": 1}}, id="last layer"),
        pytest.param({"vision": {"last": 3}}, id="all layers, by number"),
        pytest.param({"language": {"named": "layernorm"}}, id="name of several modules"),
        pytest.param({"language": {"named": "norm"}}, id="name of a whole part too"),
        pytest.param({"language": {"named": ["q_proj", r"layers\.1\.mlp"]}}, id="two names"),
        pytest.param({"language": {"named": r"layers\.0"}}, id="from the name of the list"),
        pytest.param({"language": {"named": r"norm\.weight$"}}, id="to the end of the name"),
        pytest.param({"vision": {"named": "bias"}}, id="biases alone"),
        pytest.param({"lm_head": {"named": "lm_head"}}, id="by its own name"),
    ],
)
def test_exactly_what_is_meant_trains(part: Any) -> None:
    recipe = Recipe.model_validate({"family": NAME, "tune": part})

    assert trained(recipe) == meant(recipe) != set()


def test_a_name_that_meets_nothing_is_refused() -> None:
    with pytest.raises(Refused, match="nothing in language matches 'fc1'"):
        trained(Recipe.model_validate({"family": NAME, "tune": {"language": {"named": ["q_proj", "fc1"]}}}))


@pytest.mark.parametrize("size", ["full", "tiny"])
def test_the_layers_after_the_one_that_is_read_are_out_of_reach(size: str) -> None:
    chosen = family(NAME)
    recipe = Recipe.model_validate({"family": NAME, "tune": "all"})
    intent = chosen.intent(recipe.model_copy(update={"size": size}))
    keys = [chosen.naming.canonical(path) for path in chosen.meta_model(size).state_dict()]

    last = {"full": 23, "tiny": 2}[size]
    beyond = (f"vision_tower.vision_model.encoder.layers.{last}.", "vision_tower.vision_model.post_layernorm.")
    assert {key for key in keys if not intent.reaches(key)} == {key for key in keys if key.startswith(beyond)}


def test_without_images_no_gradient_reaches_what_only_images_feed() -> None:
    chosen = family(NAME)
    recipe = Recipe.model_validate({"family": NAME, "tune": "all", "data": {"mix": ["text"]}})
    intent = chosen.intent(recipe)
    keys = [chosen.naming.canonical(path) for path in chosen.meta_model("tiny").state_dict()]

    unreached = {chosen.naming.component(key) for key in keys if not intent.reaches(key)}
    assert unreached == {"vision", "connector"}
    assert not intent.has_images


def test_how_parameters_move_is_promised_as_the_recipe_says() -> None:
    intent = family(NAME).intent(
        Recipe(
            family=NAME,
            tune=["connector", "llm"],
            steps=6,
            optimizer={
                "learning_rate": 2e-3,
                "component_rates": {"connector": 1e-2},
                "schedule": "cosine",
                "warmup_steps": 2,
                "weight_decay": 0.1,
                "floor": 0.1,
                "accumulation": 3,
            },
            data={"samples": 7, "mix": ["text", "image"]},
        )
    )

    assert intent.optimization is not None
    assert intent.optimization.model_dump() == {
        "learning_rate": 2e-3,
        "component_rates": {"connector": 1e-2},
        "schedule": "cosine",
        "warmup_steps": 2,
        "warmup_from_zero": False,
        "weight_decay": 0.1,
        "rate_factors": {},
        "floor": 0.1,
    }
    assert [intent.mechanisms.micro_batches(step) for step in range(3)] == [3, 1, 3]
    assert intent.has_images


def test_data_that_end_before_the_first_image_have_none() -> None:
    recipe = Recipe(family=NAME, tune=["llm"], data={"samples": 2, "mix": ["text", "text", "image"]})

    assert not family(NAME).intent(recipe).has_images
