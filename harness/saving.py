"""Layer 1, making side. Leaves behind what a recipe asks for, with the libraries' own save_pretrained."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import stack
from harness.checkpoint.files import PROJECTOR, RESUME, TRAINABLES, TRAINED
from harness.checkpoint.json_files import CONFIG
from harness.checkpoint.repair import repair
from harness.checkpoint.shards import to_bin
from harness.places import NATIVE
from harness.recipe import Recipe
from harness.seams import Moment, Seam, Seams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch
    from torch import nn

    from harness.families.family import Handles, Loaded

SHARDS = 3
Weights = dict[str, "torch.Tensor"]


def save(
    loaded: Loaded,
    model: Any,
    recipe: Recipe,
    handles: Handles,
    directory: Path,
    seams: Seams,
    trained: Any = None,
    weights: Weights | None = None,
) -> None:
    """Write the trained model (or its adapter, or part of it), and what else the recipe names, into the directory.

    `trained` is what the engine has given back: its optimizer, for files that training goes on from, and its own way of
    saving. `weights` are those of the whole model by its names, where the model in memory holds only a share of them.
    """
    moment = Moment(model=model, base=loaded.directory)
    directory.mkdir(parents=True, exist_ok=True)
    if recipe.saves == "partial":
        _save_trained(model, directory, weights)
    elif recipe.saves == "native":
        _save_native(model, recipe, handles, directory, getattr(trained, "optimizer", None))
    elif recipe.peft and (own := handles.own_adapters.get(recipe.peft.method)):
        torch_save(own.tensors(model), directory / own.file)
    elif recipe.saves == "projector":
        _save_projector(loaded, handles, directory, weights)
    elif recipe.save.by == "trainer":
        _save_by_trainer(loaded, recipe, directory, trained)
    else:
        options = save_options(model, recipe, weights, handles.saved_as_in_memory)
        model.save_pretrained(directory, **seams.alter(Seam.SAVE_OPTIONS, options, moment))
    if recipe.save.format == "bin":
        to_bin(directory)
    if recipe.save.beside_adapter:
        _save_beside_adapter(loaded, model, directory / recipe.save.beside_adapter, weights)
    if recipe.save.processor and recipe.save.by == "loop":
        loaded.processor.save_pretrained(directory)
    if recipe.save.tokenizer and recipe.save.by == "loop":
        loaded.processor.tokenizer.save_pretrained(directory)
    if recipe.save.files_from_base:
        repair(directory, loaded.directory)
    seams.alter(Seam.AFTER_SAVE, directory, moment)


def _save_by_trainer(loaded: Loaded, recipe: Recipe, directory: Path, trainer: Any) -> None:
    """As a script has it: the trainer saves its model, and whatever it was given to process text with."""
    if recipe.save.processor or recipe.save.tokenizer:
        trainer.processing_class = loaded.processor if recipe.save.processor else loaded.processor.tokenizer
    trainer.save_model(str(directory))


def gathered(trained: Any, directory: Path) -> Weights | None:
    """The whole weights of a model of which each process has a part; none where the model has them in memory.

    Every process has to call it, whichever of them saves; what an engine saves by itself goes into the directory.
    """
    gather = getattr(trained, "weights", None)
    found: Weights | None = gather(directory) if gather else None
    return found


def torch_save(tensors: Mapping[str, torch.Tensor], file: Path) -> None:
    import torch

    torch.save(dict(tensors), file)


def _values(model: nn.Module, chosen: Callable[[str, Any], bool], weights: Weights | None) -> Weights:
    """Parameters of a model by their names, those that are chosen, from the whole weights where there are such."""
    names = [name for name, parameter in model.named_parameters() if chosen(name, parameter)]
    held: Weights = dict(model.named_parameters()) if weights is None else weights
    return {name: held[name] for name in names}


def _save_trained(model: nn.Module, directory: Path, weights: Weights | None) -> None:
    """What was trained, under the names by which `load_state_dict(strict=False)` takes it."""
    from harness.trace.writer import write_safetensors

    trained = _values(model, lambda _, parameter: parameter.requires_grad, weights)
    write_safetensors(directory / TRAINED, trained, metadata={"format": "pt"})


def _save_native(model: nn.Module, recipe: Recipe, handles: Handles, directory: Path, optimizer: Any) -> None:
    """A state dict as native training loops write it, and beside it what they go on from."""
    import torch

    left_out = re.compile(handles.not_in_native or r"(?!)")
    state = {key: tensor for key, tensor in model.state_dict().items() if not left_out.match(key)}
    if recipe.save.half:
        state = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in state.items()}
    file = directory / (f"{recipe.save.name}{handles.native_ending}.pth" if recipe.save.name else NATIVE)
    torch.save(state, file)
    if recipe.save.resume:
        goes_on = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": recipe.steps}
        torch.save(goes_on, file.with_name(f"{file.stem}{RESUME}"))


def _save_projector(loaded: Loaded, handles: Handles, directory: Path, weights: Weights | None) -> None:
    """The first stage's file, as LLaVA's trainer and those after it write it: every parameter whose name has one of
    the connector's words in it, and the configuration."""
    words = tuple(word for component in handles.in_projector_file.values() for word in component)
    chosen = _values(loaded.model, lambda name, _: any(word in name for word in words), weights)
    _save_tensors(chosen, directory / PROJECTOR)
    _save_configuration(loaded, directory)


def _save_beside_adapter(loaded: Loaded, model: nn.Module, file: Path, weights: Weights | None) -> None:
    """What trains and is no adapter, by its name: under the names that it has in memory, as trainers write it."""
    mark = getattr(model.base_model, "prefix", "lora_")
    trained = _values(model, lambda name, parameter: parameter.requires_grad and mark not in name, weights)
    _save_tensors(trained, file)
    if file.name == TRAINABLES[0]:
        _save_configuration(loaded, file.parent)


def _save_configuration(loaded: Loaded, directory: Path) -> None:
    """The model's configuration, without the names of code files: they are in the base that it will be loaded over."""
    loaded.model.config.save_pretrained(directory)
    file = directory / CONFIG
    settings = json.loads(file.read_text(encoding="utf-8"))
    if settings.pop("auto_map", None):
        file.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _save_tensors(parameters: Mapping[str, torch.Tensor], file: Path) -> None:
    import torch

    torch.save({name: parameter.detach().cpu().clone() for name, parameter in parameters.items()}, file)


def save_options(
    model: nn.Module, recipe: Recipe, weights: Weights | None = None, as_in_memory: bool = False
) -> dict[str, Any]:
    """Arguments of save_pretrained. `auto` makes shards so small that even a tiny model needs at least three."""
    given: dict[str, Any] = {} if weights is None else {"state_dict": dict(weights)}
    if recipe.saves == "adapter":
        return given
    given |= stack.saved_as_in_memory(as_in_memory)
    if recipe.save.max_shard_size != "auto":
        return {**given, "max_shard_size": _in_bytes(recipe.save.max_shard_size)}
    whole = model.parameters() if weights is None else [weights[name] for name, _ in model.named_parameters()]
    return {**given, "max_shard_size": _shard_size([tensor.numel() * tensor.element_size() for tensor in whole])}


def _shard_size(sizes: list[int]) -> int:
    """How large a shard may be for there to be enough, though one tensor may be most of the model."""
    limit = max(sum(sizes) // (SHARDS + 1), 1)
    while limit > 1 and _shards(sizes, limit) < SHARDS:
        limit //= 2
    return limit


def _shards(sizes: list[int], limit: int) -> int:
    """How many files save_pretrained makes of tensors: one that is too large has a file of its own."""
    files, held = 0, 0
    for size in sizes:
        if size > limit:
            files += 1
        elif held and held + size <= limit:
            held += size
        else:
            files, held = files + 1, size
    return files


def _in_bytes(size: str) -> int:
    """A size such as 1.5GB or 200MiB as a number: transformers 5 no longer knows the binary units."""
    unit = size.lstrip("0123456789.")
    base = 1024 if "i" in unit else 1000
    return max(int(float(size.removesuffix(unit)) * base ** " KMG".index(unit[0])), 1)
