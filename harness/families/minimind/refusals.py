"""What the published code cannot do, known from the recipe alone."""

from __future__ import annotations

from harness.families.minimind.dimensions import Dimensions
from harness.recipe import Recipe
from harness.refusal import Refused


def refuse(recipe: Recipe, generation: int, d: Dimensions, pictures: bool) -> None:
    """Raise Refused, with the remedy, for a recipe that would fail in the middle of training."""
    _pictures(recipe, pictures)
    _fp16_buffer(recipe, generation, d)
    _checkpointing(recipe)
    _prompts(recipe)
    _one_batch(recipe, d)


def _pictures(recipe: Recipe, pictures: bool) -> None:
    """MiniMind reads text alone; of MiniMind-V's data every row has its picture."""
    kinds = set(recipe.data.mix[: recipe.samples_seen])
    if not pictures and kinds != {"text"}:
        raise Refused("data.mix holds pictures, and MiniMind reads text alone", do="set data.mix: [text]")
    if pictures and "text" in kinds:
        raise Refused(
            "data.mix holds text: MiniMind-V's data set reads a picture out of every row and has none here",
            do="take text out of data.mix, or use blank",
        )


def _fp16_buffer(recipe: Recipe, generation: int, d: Dimensions) -> None:
    """torch: "Index put requires the source and destination dtypes match"."""
    if generation == 1 and d.experts and recipe.precision != "fp16":
        raise Refused(
            f"precision {recipe.precision}: the first generation gathers its experts' outputs in an fp16 buffer, into "
            "which torch writes nothing else",
            do="set precision: fp16",
        )


def _checkpointing(recipe: Recipe) -> None:
    if recipe.checkpointing:
        raise Refused("checkpointing: MiniMind's code has none", do="turn it off")


def _prompts(recipe: Recipe) -> None:
    if recipe.peft and recipe.peft.is_prompt:
        raise Refused(
            f"adapter.method {recipe.peft.method}: MiniMind's forward takes neither prompts nor past keys",
            do="use a method that sits on layers, such as lora",
        )


def _one_batch(recipe: Recipe, d: Dimensions) -> None:
    """Measured: a norm that is 1.3e-5 of itself apart in fp32, where rounding explains 1e-5."""
    together = [name for name in ("one-batch", "one-process") if name in recipe.agrees_with]
    if d.experts and together:
        raise Refused(
            f"agrees_with {together[0]}: what keeps experts evenly loaded is counted over each micro-batch by itself",
            do="take it out of agrees_with, or choose a family without experts",
        )
