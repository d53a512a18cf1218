"""Where faults apply, and what they take hold of."""

from __future__ import annotations

from typing import Any

from harness.families import family
from harness.families.family import has_processor, reads_pictures
from harness.recipe import COMPONENTS, Recipe

LISTED = "omnilmm-12b-no-tune-clip"
"""The family whose tower lies in a Python list, where neither torch nor a check sees it."""
LAST_NORM = "post_layernorm"
"""What towers call the norm after their last layer."""
PATCHES = ("patch_embedding", "patch_embed.proj")
"""What towers call their first layer."""


def freezes_something(recipe: Recipe) -> bool:
    """Whether at least the vision tower stays frozen: it has parameters and buffers of its own."""
    return "vision" not in {tune.component for tune in recipe.tune} and not trains_everything(recipe)


def freezes_image_path(recipe: Recipe) -> bool:
    """Whether tower and connector stay as they are: one of them has a buffer in every family."""
    kept = recipe.peft.modules_to_save if recipe.peft else ()
    return not kept and not {"vision", "connector"} & {tune.component for tune in recipe.tune}


def trains_everything(recipe: Recipe) -> bool:
    return {tune.component for tune in recipe.tune} >= set(COMPONENTS)


def tunes_something(recipe: Recipe) -> bool:
    """Whether the connector itself trains, in fp32 weights: every step of it moves."""
    return "connector" in {tune.component for tune in recipe.tune} and not recipe.precision.startswith("pure")


def tunes_tower_and_more(recipe: Recipe) -> bool:
    """Whether the whole vision tower trains, and something else beside it, without an adapter."""
    whole = {tune.component for tune in recipe.tune if not (tune.last or tune.named)}
    return not recipe.peft and "vision" in whole and len(whole) > 1 and has_tower(recipe)


def tunes_tower_that_ends_early(recipe: Recipe) -> bool:
    """Whether the whole vision tower trains, and its features are taken from a layer below its last norm."""
    unreached = family(recipe.family).intent(recipe).out_of_reach
    return tunes_tower_and_more(recipe) and any(LAST_NORM in pattern for pattern in unreached)


def has_tower(recipe: Recipe) -> bool:
    """Whether there is a vision tower, and it is a module of the model: OmniLMM's lies in a Python list where tune_clip
    is False."""
    return recipe.family != LISTED and reads_pictures(family(recipe.family))


def has_adapter(recipe: Recipe) -> bool:
    """Whether an adapter sits on layers of the model: a prompt sits on none."""
    return recipe.peft is not None and not recipe.peft.is_prompt


def is_adalora(recipe: Recipe) -> bool:
    return recipe.peft is not None and recipe.peft.method == "adalora"


def trains_own_adapter(recipe: Recipe) -> bool:
    """Whether the adapter is not peft's but one that a family's own code puts on."""
    return recipe.peft is not None and recipe.peft.method == "minimind-lora"


def saves_whole(recipe: Recipe) -> bool:
    return recipe.saves == "full"


def saves_whole_by_itself(recipe: Recipe) -> bool:
    """Whether save_pretrained is called with options of the recipe's, and not by a library's trainer with its own."""
    return saves_whole(recipe) and recipe.save.by == "loop"


def saves_part(recipe: Recipe) -> bool:
    return recipe.saves == "partial"


def saves_processor(recipe: Recipe) -> bool:
    return saves(recipe) and recipe.saves_processor and has_processor(family(recipe.family), recipe)


def is_minicpm(recipe: Recipe) -> bool:
    """Whether it is a MiniCPM-V that comes as code files: the library's own is fed as others are."""
    return recipe.family.startswith("minicpm") and ships_code(recipe)


def ships_code(recipe: Recipe) -> bool:
    """Whether the family's directories carry code files: such recipes say that they trust them."""
    return recipe.trust_remote_code


def by_expression(recipe: Recipe) -> bool:
    """Whether an adapter's targets are a regular expression on paths."""
    targets = recipe.peft.targets if recipe.peft else ()
    return isinstance(targets, str) and targets != "all-linear"


def saves(recipe: Recipe) -> bool:
    return recipe.saves != "nothing"


def saves_safetensors(recipe: Recipe) -> bool:
    """Whether what is saved lies in safetensors, not in a pickle of the connector or of a state dict."""
    return recipe.saves in ("full", "partial", "adapter")


def saves_parameters(recipe: Recipe) -> bool:
    """Whether parameters are saved as they are: p-tuning saves what its encoder computes."""
    return saves_safetensors(recipe) and not (recipe.peft and recipe.peft.method == "p_tuning")


def ties_head(recipe: Recipe) -> bool:
    """Whether the published output layer is the embeddings' tensor."""
    return bool(family(recipe.family).intent(recipe).ties)


def sees_images(recipe: Recipe) -> bool:
    return any(kind != "text" for kind in recipe.data.mix)


def first_frozen(model: Any) -> Any:
    """The first frozen parameter of the model."""
    return next(p for p in model.parameters() if not p.requires_grad)


def first_trained(model: Any) -> Any:
    """The first parameter set to train."""
    return next(p for p in model.parameters() if p.requires_grad)


TOWERS = ("vision_tower", "vpm", "vision_encoder")
"""What models call their vision towers."""


def hide_tower(model: Any) -> None:
    """Keep the model's vision tower as an attribute that is no module of it, as if it lay in a Python list."""
    parent, name = next((module, name) for module in model.modules() for name in TOWERS if name in module._modules)
    parent.__dict__[name] = parent._modules.pop(name)
