"""What the published code cannot do, known from the recipe alone."""

from __future__ import annotations

from harness.recipe import Recipe
from harness.refusal import Refused


def refuse(recipe: Recipe, cuts_pictures: bool) -> None:
    """Raise Refused, with the remedy, for a recipe that would fail in the middle of training."""
    if cuts_pictures and "several" in recipe.data.mix:
        raise Refused(
            "data.mix names several, and the family cuts pictures in four (image_grid 2): the views of one sample "
            "would not have the shape of one picture",
            do="take several out of the mix, or use the family without -hd",
        )
    if recipe.peft and recipe.peft.method in ("prompt_tuning", "p_tuning"):
        raise Refused(
            f"adapter.method {recipe.peft.method}: peft embeds the ids itself, and the places of pictures are held by "
            "an id (-200) of which the embeddings have no row",
            do="use a method that sits on layers, such as lora or ia3",
        )
    if recipe.peft and recipe.peft.method == "prefix_tuning":
        raise Refused(
            "adapter.method prefix_tuning: what peft hands to generate for it, this model's generate does not take: it "
            "would train, and answer nothing",
            do="use a method that sits on layers, such as lora or ia3",
        )


def refuse_several(sample_id: str, images: int) -> None:
    """Raise Refused for a sample with more pictures than one where pictures are cut."""
    if images > 1:
        raise Refused(
            f"sample {sample_id}: {images} images, where image_grid 2 takes one a sample",
            do="use one image a sample, or the family without -hd",
        )
