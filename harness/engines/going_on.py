"""What a plain loop leaves when it is interrupted, and what another process goes on from.

The checkpoint holds what trains and what is no parameter, under the names that they have in memory (an adapter's
tensors among them: everything else comes from the base), the state of optimizer, schedule and scaler, torch's and
Python's random numbers, and how many steps were taken of the data.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from harness.recipe import Recipe
from harness.refusal import Refused
from harness.seams import Seam

if TYPE_CHECKING:
    from harness.engines.torch_loop import Loop


def leave(loop: Loop, file: Path) -> None:
    """Write the checkpoint of a loop that has taken the steps before its interruption."""
    state = {
        "recipe": loop.recipe.model_dump(mode="json", exclude_defaults=True),
        "weights": weights_of(loop.model),
        "optimizer": loop.optimizer.state_dict(),
        "schedule": loop.schedule.state_dict(),
        "scaler": loop.scaler.state_dict() if loop.scaler else None,
        "random": {"torch": torch.get_rng_state(), "python": list(random.getstate()[1]), **gpu_random(loop.device)},
        "place": loop.recipe.interrupted_after,
    }
    torch.save(state, file)


def gpu_random(device: torch.device) -> dict[str, torch.Tensor]:
    """The state of a GPU's own random numbers, where a run is on one."""
    return {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}


def weights_of(model: Any) -> dict[str, Any]:
    """What trains, and the buffers, by name."""
    frozen = {name for name, parameter in model.named_parameters(remove_duplicate=False) if not parameter.requires_grad}
    return {name: tensor for name, tensor in model.state_dict().items() if name not in frozen}


def go_on(loop: Loop, file: Path) -> int:
    """Put a loop where the checkpoint left off; the place in the data is given back. Raises Refused for a bad one."""
    state = loop.seams.alter(Seam.RESUMED, read(file, loop.recipe), loop.moment)
    loop.model.load_state_dict(state["weights"], strict=False)
    loop.optimizer.load_state_dict(state["optimizer"])
    loop.schedule.load_state_dict(state["schedule"])
    if loop.scaler and state["scaler"]:
        loop.scaler.load_state_dict(state["scaler"])
    if state["random"]:
        torch.set_rng_state(state["random"]["torch"])
        if "cuda" in state["random"]:
            torch.cuda.set_rng_state(state["random"]["cuda"])
        version, _, gauss = random.getstate()
        random.setstate((version, tuple(state["random"]["python"]), gauss))
    place: int = state["place"]
    return place


def read(file: Path, recipe: Recipe) -> dict[str, Any]:
    """The parts of a checkpoint. Raises Refused where there is none, where it is damaged, or of another recipe."""
    if not file.is_file():
        raise Refused("there is no checkpoint to go on from", where=str(file), do="train up to the interruption first")
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        made_by = Recipe.model_validate(state["recipe"])
    except Exception as error:
        why = " ".join(str(error).split())[:120]
        raise Refused(f"the checkpoint cannot be read: {why}", where=str(file), do="make it again") from None
    differing = [name for name in Recipe.model_fields if getattr(made_by, name) != getattr(recipe, name)]
    if differing:
        what = f"the checkpoint is of another recipe: they differ in {', '.join(differing)}"
        raise Refused(what, where=str(file), do="go on with the recipe that it was made by")
    return state
