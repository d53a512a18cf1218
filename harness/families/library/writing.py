"""A tiny model of a type with values that follow from names, and the directory it is saved in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import stack, stack_classes
from harness.stack_keys import as_published

if TYPE_CHECKING:
    import torch

SHARD = "200KB"  # several files, as published models have
# Layers with a state forget slowly here: at the usual rate the sum over a chunk of 64 tokens is e to the power of 40,
# and rounding shows in which chunk a token stands.
FORGETTING = {r"\.A_log$": -4.0}


def filled_model(model_class: Any, config: Any, centres: Mapping[str, float], key_of: Callable[[str], str]) -> Any:
    """A model whose parameters are filled by the keys that they are published under, which all releases share. What its
    class sets to one number lies around that number: scales around one, or around zero where a norm adds one itself;
    `centres` says it where it is drawn."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = stack_classes.tied(model_class(config))
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            around = (*centres.items(), *FORGETTING.items())
            said = next((value for pattern, value in around if re.search(pattern, path)), None)
            parameter.copy_(_values(key_of(path), parameter, said))
    return model.eval()


def _values(key: str, parameter: torch.Tensor, said: float | None) -> torch.Tensor:
    from harness.families.weights import filled

    centre = said if said is not None else _constant(parameter)
    if parameter.dim() >= 2 and centre:
        return filled(key, (parameter.numel(),), centre).reshape(parameter.shape)
    if parameter.dim() < 2 and centre is None:
        centre = round(float(parameter.float().mean()), 1)
    return filled(key, parameter.shape, centre)


def _constant(parameter: torch.Tensor) -> float | None:
    """The one number that all elements are, if they are."""
    flat = parameter.detach().float().flatten()
    return float(flat[0]) if len(flat) and bool((flat == flat[0]).all()) else None


def write_directory(directory: Path, model: Any, processor: Any, as_in_memory: bool) -> None:
    """Model, configuration and processor, as the library saves them."""
    from transformers import GenerationConfig

    tokenizer = processor.tokenizer
    given = {name: getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    model.generation_config = GenerationConfig(**{f"{name}_token_id": value for name, value in given.items()})
    as_published(model).save_pretrained(directory, max_shard_size=SHARD, **stack.saved_as_in_memory(as_in_memory))
    processor.save_pretrained(directory)
