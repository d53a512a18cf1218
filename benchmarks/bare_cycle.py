"""The bare cycle of a recipe: build, steps, save, reload, compare. What somebody would write who checks by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def run(argument: dict[str, Any]) -> None:
    """Job: train the recipe from its base, save it, load it again, and compare logits. Raises if they differ."""
    import torch

    from harness import stack
    from harness.engines import engine
    from harness.families import family
    from harness.making import run as making
    from harness.making.micro_batches import fed
    from harness.recipe import Recipe
    from harness.saving import save
    from harness.seams import Seams
    from harness.tuning import tune

    stack.quiet()
    stack.use_modules_cache(Path(argument["to"]).with_name("modules"))
    torch.set_num_threads(1)
    recipe = Recipe.model_validate(argument["recipe"])
    chosen, seams = family(recipe.family), Seams()
    run = making.Run(recipe, Path(argument["to"]), Path(argument["base"]), seams)
    loaded = making.build(run, chosen)
    batches = fed(recipe, chosen, loaded).steps
    model = tune(loaded.model, recipe, chosen, seams)
    engine(recipe.engine)(model, batches, recipe, seams, making.component_of(chosen), chosen.loss)
    saved = Path(argument["to"])
    save(loaded, model, recipe, chosen.handles, saved, seams)
    again = _loaded(saved, Path(argument["base"]), recipe)
    batch = {name: value for name, value in batches[0][0].items() if name != "labels"}
    inputs = chosen.arguments(batch)
    with torch.no_grad():
        assert torch.equal(model.eval()(**inputs)["logits"], again.eval()(**inputs)["logits"])


def _loaded(saved: Path, base: Path, recipe: Any) -> Any:
    from peft import PeftModel
    from transformers import AutoProcessor

    from harness import stack

    trust = {"trust_remote_code": recipe.trust_remote_code}
    AutoProcessor.from_pretrained(saved, **trust)
    place = base if recipe.peft else saved
    model = stack.auto_class(place, **trust).from_pretrained(place, **trust)
    return PeftModel.from_pretrained(model, saved) if recipe.peft else model
