"""What a stage has saved and the base it was trained from, made one whole model: an adapter
merged, a native state dict exported.

What the model computes is noted before, so that the hand-over can be held against it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.checkpoint.files import HANDED_OVER, part_path
from harness.checkpoint.repair import repair
from harness.devices import device_of, moved, placed
from harness.places import MODULES
from harness.recipe import Recipe
from harness.recipe.fields import Data
from harness.refusal import Refused
from harness.seams import Moment, Seam, Seams

if TYPE_CHECKING:
    import torch

    from harness.families import Family
    from harness.families.family import Loaded


def make_merged(argument: dict[str, Any]) -> None:
    """Job: make what a stage has saved one with what it was trained from, whole or not at all."""
    import torch

    from harness import stack
    from harness.families import family_of
    from harness.faults import seams_with
    from harness.making.directories import whole
    from harness.making.precision import weights_dtype

    stack.quiet()
    torch.set_num_threads(1)
    directory, base, saved = (Path(argument[name]) for name in ("directory", "base", "saved"))
    stack.use_modules_cache(directory.with_name(MODULES) / "merged")
    recipe = Recipe.model_validate(argument["recipe"])
    chosen, seams = family_of(recipe), seams_with(argument.get("faults", ()))
    with whole(directory) as partial:
        loaded = chosen.load(base, weights_dtype(recipe))
        _lay_over(loaded, recipe, argument["parts"], saved)
        asked = recipe.model_copy(update={"data": Data.model_validate(argument["data"]), "agrees_with": ()})
        logits = _written_whole(partial, loaded, recipe, asked, saved, seams)
        _note(logits, directory.with_name(f"{directory.name}{HANDED_OVER}"))


def merged_into(directory: Path, family: Family, base: Path, adapter: Path) -> None:
    """Write the base with the adapter merged in, its processor, and what else the base directory has.

    Raises Refused where merging changes nothing: then the adapter was trained for nothing, or is another model's.
    """
    import torch

    loaded = family.load(base, torch.float32)
    recipe = Recipe(family=family.name, lora={"rank": 1}, trust_remote_code=family.remote_code)
    _written_whole(directory, loaded, recipe, None, adapter, Seams())


def _lay_over(loaded: Loaded, recipe: Recipe, parts: list[dict[str, str]], saved: Path) -> None:
    """What lay over the base when the stage began, and a state dict that it has left."""
    from harness.checkpoint.overlay import lay_over, part_tensors
    from harness.tuning import add_tokens

    if recipe.add_tokens:
        add_tokens(loaded, recipe.add_tokens)
    files = [Path(part["file"]) for part in parts]
    files += [part_path("native", saved)] if recipe.saves == "native" else []
    for file in files:
        lay_over(loaded.model, part_tensors(file), file.name)


def _written_whole(
    directory: Path, loaded: Loaded, recipe: Recipe, asked: Recipe | None, saved: Path, seams: Seams
) -> dict[str, torch.Tensor]:
    """Write the model as the stage left it, and give what it computed before of the samples of `asked`, if any."""
    import torch

    before = {path: value.clone() for path, value in loaded.model.state_dict().items()}
    adapter = recipe.saves == "adapter"
    whole: Any = loaded.model
    if adapter:
        import peft

        whole = peft.PeftModel.from_pretrained(loaded.model, str(saved))
    logits = _logits(placed(whole.eval(), asked), loaded, asked) if asked else {}
    whole = whole.cpu()
    whole = seams.alter(Seam.MERGED, whole, Moment(model=whole, base=loaded.directory))
    if adapter:
        whole = whole.merge_and_unload()
        after = whole.state_dict()
        if all(torch.equal(value, after[path]) for path, value in before.items()):
            raise Refused(
                f"start_from.merge: merged, {saved} changes nothing of {loaded.directory}",
                do="look at what the adapter was trained on, and for how long",
            )
    whole.save_pretrained(directory)
    loaded.processor.save_pretrained(directory)
    repair(directory, loaded.directory)
    return logits


def _logits(model: Any, loaded: Loaded, asked: Recipe) -> dict[str, torch.Tensor]:
    """What the model gives for the samples that every base is verified with."""
    import torch

    from harness.families import family_of
    from harness.making.probing import probe_inputs

    family = family_of(asked)
    batches = probe_inputs(asked, family, loaded).batches
    model.requires_grad_(False)
    with torch.no_grad():
        given = moved(batches, device_of(asked))
        return {name: model(**family.arguments(batch))["logits"].float().cpu() for name, batch in given.items()}


def _note(logits: dict[str, torch.Tensor], file: Path) -> None:
    from harness.trace.writer import write_safetensors

    write_safetensors(file, {name: values.contiguous() for name, values in logits.items()})
