"""Probes of what must not matter to a sample's logits, padding beside it and other samples in its batch, and of the
pictures' features on their way into the language model."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from harness.probes.exactly import twice
from harness.probes.passes import Arrays, Feeding, Probed, logits_of, probe, trained_logits
from harness.trace.naming import unwrapped
from harness.trace.nested import tensors_in


@probe
def padded_right(probed: Probed) -> tuple[dict[str, Any], Arrays]:
    """How far the logits of text are from its own when padding follows it; pictures have some in `together`, and are
    padded here where the model takes no text without one."""
    return _padded(probed, "text" if "text" in probed.batches else "image", "right"), {}


@probe
def padded_left(probed: Probed) -> tuple[dict[str, Any], Arrays]:
    """How far a sample's logits are from its own when padding comes before it: one with a picture, if there is one."""
    return _padded(probed, "image" if "image" in probed.batches else "text", "left"), {}


@probe
def together(probed: Probed) -> tuple[dict[str, Any], Arrays]:
    """One pass over several samples: how far their logits are from those they get alone, and what became of pictures.

    Of pictures it counts image tokens, features made for them, and features that stand in their token's place. It looks
    where the connector hands features out, and where the language model is given its embeddings.
    """
    return twice(probed, _together), {}


def _together(probed: Probed) -> dict[str, Any]:
    fed = _feeding(probed)
    with overheard(probed.model, fed) as (made, given):
        logits = logits_of(probed, fed.together)
    apart: dict[str, float] = {}
    single = trained_logits(probed)
    for row, name in enumerate(fed.names):
        if name in single:
            mine = _of_tokens(logits[row], fed.together["attention_mask"][row])
            apart[name] = float((mine - single[name][0][-len(mine) :]).abs().amax())
    sizes = {name: float(single[name].abs().amax()) for name in apart}
    none = {"tokens": 0, "features": 0, "in_place": 0}
    pictures = in_place(given[0], fed.places(fed.together), made) if given else none
    return {"names": fed.names, "largest_difference": apart, "largest_logit": sizes, "pictures": pictures}


def in_place(embeddings: torch.Tensor, places: torch.Tensor, made: list[torch.Tensor]) -> dict[str, int]:
    """Image tokens, features, and how many of these are the embedding of their token, in order."""
    stand = embeddings[:, -places.shape[1] :][places]
    features = [one.reshape(-1, embeddings.shape[-1]).to(embeddings.dtype) for one in made] if len(stand) else []
    whole = torch.cat([embeddings[0, :0], *features])
    compared = min(len(stand), len(whole))
    equal = (stand[:compared] == whole[:compared]).all(dim=1)
    return {"tokens": len(stand), "features": len(whole), "in_place": int(equal.sum())}


def _padded(probed: Probed, name: str, side: str) -> dict[str, Any]:
    return twice(probed, lambda exact: _beside_padding(exact, name, side))


def _beside_padding(probed: Probed, name: str, side: str) -> dict[str, Any]:
    wider = _feeding(probed).padded(probed.batches[name], side)
    single = trained_logits(probed)[name]
    mine = _of_tokens(logits_of(probed, wider)[0], wider["attention_mask"][0])
    return {
        "largest_difference": {name: float((mine - single[0][-len(mine) :]).abs().amax())},
        "largest_logit": {name: float(single.abs().amax())},
    }


def _of_tokens(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The logits of a row's real tokens. An adapter of prompts puts places of its own before the row."""
    return logits[-len(mask) :][mask.bool()]


def _feeding(probed: Probed) -> Feeding:
    assert probed.feeding is not None
    return probed.feeding


@contextlib.contextmanager
def overheard(model: nn.Module, fed: Feeding) -> Iterator[tuple[list[torch.Tensor], list[torch.Tensor]]]:
    """What the connector gives, and the embeddings that the language model is given, in a block; nothing of a model
    that has no connector."""
    made: list[torch.Tensor] = []
    given: list[torch.Tensor] = []
    if fed.features == "" or (fed.connector is None and fed.features is None):
        yield made, given
        return

    def hear(_module: nn.Module, _args: Any, kwargs: dict[str, Any]) -> None:
        if kwargs.get("inputs_embeds") is not None:
            given.append(kwargs["inputs_embeds"].clone())

    def hear_first(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not given:  # the module that makes the embeddings has the layers itself
            given.append((args[0] if args else kwargs["hidden_states"]).clone())

    with contextlib.ExitStack() as heard:
        layers = _path(model, fed.layers)
        reads = model.get_submodule(layers.rpartition(".")[0])
        heard.callback(reads.register_forward_pre_hook(hear, with_kwargs=True).remove)
        for first in itertools.islice(model.get_submodule(layers).children(), 1):
            heard.callback(first.register_forward_pre_hook(hear_first, with_kwargs=True).remove)
        if fed.features is not None:
            heard.enter_context(_overheard_method(model, fed.features, made))
        elif fed.connector is not None:
            makes = model.get_submodule(_path(model, fed.connector))
            heard.callback(makes.register_forward_hook(lambda _m, _args, out: made.extend(tensors_in(out))).remove)
        yield made, given


@contextlib.contextmanager
def _overheard_method(model: nn.Module, name: str, made: list[torch.Tensor]) -> Iterator[None]:
    """What a method of the model gives, in a block: of those that have it the innermost, which the others ask."""
    owner: Any = [module for module in model.modules() if callable(getattr(type(module), name, None))][-1]
    own = getattr(owner, name)

    def listening(*args: Any, **kwargs: Any) -> Any:
        given = own(*args, **kwargs)
        pooled = getattr(given, "pooler_output", None)
        made.extend(tensors_in(given if pooled is None else pooled))
        return given

    setattr(owner, name, listening)
    try:
        yield
    finally:
        delattr(owner, name)


def _path(model: nn.Module, pattern: str) -> str:
    """The path of the first module, however an adapter wraps it, whose own path the pattern matches.

    Paths as the family has them come first: under peft, `model` is also the name of the whole model.
    """
    paths: list[str] = [path for path, _ in model.named_modules()]
    own, whole = re.compile(pattern), re.compile(rf"(?:.*\.)?(?:{pattern})")
    met = [path for path in paths if own.fullmatch(unwrapped(path))]
    return met[0] if met else next(path for path in paths if whole.fullmatch(path))
