"""Jobs that tests send to warm parents; imported there by name."""

from __future__ import annotations

import json
import runpy
import sys
import time
from pathlib import Path
from typing import Any


def record_script(argument: dict[str, Any]) -> None:
    """Run a script under the recorder alone, as a stranger's process would be."""
    import torch

    from harness.recording import Recorder

    torch.set_num_threads(1)
    torch.manual_seed(0)
    sys.argv = [argument["script"], *argument["arguments"]]
    with Recorder(Path(argument["trace"])) as recorder:
        runpy.run_path(argument["script"], run_name="__main__")
        recorder.finish()


def train_without_recorder(argument: dict[str, Any]) -> None:
    """Build, tune and train as a run does, unrecorded, and write every parameter's fingerprint and the losses."""
    import torch

    from harness import stack
    from harness.engines import engine
    from harness.families import family
    from harness.making import run as making
    from harness.making.micro_batches import fed
    from harness.recipe import Recipe
    from harness.seams import Seam, Seams
    from harness.trace.fingerprint import as_hex, fingerprint
    from harness.tuning import tune

    stack.quiet()
    torch.set_num_threads(1)
    recipe = Recipe.model_validate(argument["recipe"])
    torch.manual_seed(recipe.seed)
    losses: list[float] = []
    seams = Seams.of([(Seam.LOSS, lambda loss, moment: losses.append(float(loss.detach())))])
    run = making.Run(recipe, Path(argument["directory"]), Path(argument["base"]), seams)
    chosen = family(recipe.family)
    loaded = making.build(run, chosen)
    batches = fed(recipe, chosen, loaded).steps
    model = tune(loaded.model, recipe, chosen, seams)
    engine("torch")(model, batches, recipe, seams, making.component_of(chosen), chosen.loss)
    prints = [as_hex(fingerprint(parameter)) for parameter in model.parameters()]
    Path(argument["to"]).write_text(json.dumps({"parameters": prints, "losses": losses}))


def write_batches(argument: dict[str, Any]) -> None:
    """Write the micro-batches of a recipe as plain tensors."""
    from harness.families import family
    from harness.making import run as making
    from harness.making.micro_batches import fed
    from harness.recipe import Recipe
    from harness.seams import Seams
    from harness.trace.writer import write_safetensors

    recipe = Recipe.model_validate(argument["recipe"])
    chosen = family(recipe.family)
    run = making.Run(recipe, Path(argument["to"]).parent, Path(argument["base"]), Seams())
    batches = fed(recipe, chosen, making.build(run, chosen)).steps
    flat = {
        f"{step}/{micro}/{name}": tensor
        for step, micros in enumerate(batches)
        for micro, batch in enumerate(micros)
        for name, tensor in batch.items()
    }
    write_safetensors(Path(argument["to"]), flat)


def ends(argument: dict[str, Any]) -> None:
    """Raise after so many seconds."""
    time.sleep(argument["after"])
    raise RuntimeError("ended on purpose")
