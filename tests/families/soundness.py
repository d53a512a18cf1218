"""What makes a type of the library work as a family: the first promise that is broken, found without training it."""

from __future__ import annotations

import re
from typing import Any

from harness.data import Sample


def numbers_of(chosen: Any, sample: Sample) -> int:
    """How many numbers go into it for one sample."""
    return sum(value.numel() for value in _batch(chosen, sample).values() if hasattr(value, "numel"))


def first_broken(chosen: Any, samples: dict[str, Sample]) -> str:
    """Empty where all is well: it is built and fed, its loss is finite, gradients arrive where they should, features of
    pictures stand in the places of their tokens, text goes alone or is refused, padding changes nothing."""
    try:
        return _first_broken(chosen, samples)
    except Exception as error:  # whatever the library raises: a setting is missing
        return f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"


def _first_broken(chosen: Any, samples: dict[str, Sample]) -> str:
    from harness.families.library.writing import filled_model

    config = chosen.blueprint.tiny_configuration(chosen.processor, chosen.place)
    if type(config).from_dict(config.to_dict()).to_dict() != config.to_dict():
        return "its configuration comes back otherwise from what is saved of it"
    centres = chosen.blueprint.override.centres
    model = filled_model(chosen.blueprint.model_class, config, centres, chosen.naming.canonical)
    batch = _batch(chosen, samples["image"])
    places = chosen.image_places(batch, chosen.processor)
    if chosen.handles.features != "" and not bool(places.any()):
        return "features of pictures have no place"
    model.train().requires_grad_()  # as it comes from from_pretrained
    loss = chosen.loss(model, batch)
    if not bool(loss.isfinite()):
        return f"the loss is {loss.item()}"
    loss.backward()
    gradients = _unreached(chosen, model) or _in_no_layer(chosen, model)
    model.eval()
    return (
        gradients
        or _misplaced(chosen, model, batch)
        or _padded(chosen, model, batch)
        or _others(chosen, model, samples)
    )


def _batch(chosen: Any, sample: Sample) -> dict[str, Any]:
    found: dict[str, Any] = chosen.collate([chosen.encode(sample, chosen.processor, 1 << 20)], chosen.processor)
    return found


def _unreached(chosen: Any, model: Any) -> str:
    from harness.recipe import Recipe

    intent = chosen.intent(Recipe(family=chosen.name, tune=["all"]))
    wrong: dict[str, list[str]] = {}
    for path, parameter in model.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.any())
        if any(re.search(one, path) for one in chosen.blueprint.override.residue):
            continue
        if reached != intent.reaches(chosen.naming.canonical(path)):
            wrong.setdefault("reached" if reached else "not reached", []).append(path)
    return "; ".join(f"{how} by a gradient: {', '.join(paths)}" for how, paths in wrong.items())


def _in_no_layer(chosen: Any, model: Any) -> str:
    """What is out of reach in the last layer alone is there to be reached in one before it."""
    for part in chosen.blueprint.override.unreached:
        anywhere = re.sub(r"\{last \w+\}", r"\\d+", part)
        reached = (path for path, one in model.named_parameters() if one.grad is not None and bool(one.grad.any()))
        if part != anywhere and not any(re.search(anywhere, path) for path in reached):
            return f"reached by a gradient in no layer: {part}"
    return ""


def _misplaced(chosen: Any, model: Any, batch: dict[str, Any]) -> str:
    """Features of pictures stand in the places of their tokens, unless it is said that they go elsewhere."""
    import torch

    from harness.probes import Feeding
    from harness.probes.batch_invariance import in_place, overheard

    if chosen.handles.features == "":
        return ""
    fed = Feeding(
        names=("image",),
        together=chosen.arguments({name: value for name, value in batch.items() if name != "labels"}),
        padded=lambda batch, side: chosen.padded(batch, side, 3, chosen.processor),
        places=lambda batch: chosen.image_places(batch, chosen.processor),
        connector=chosen.handles.components.get("connector"),
        layers=chosen.handles.layers["language"],
        features=chosen.handles.features,
    )
    with torch.no_grad(), overheard(model, fed) as (made, given):
        model(**fed.together, **chosen.without_cache)
    found = in_place(given[0], fed.places(batch), made) if given else "nothing is heard of them"
    return "" if given and len(set(found.values())) == 1 else f"features of pictures are not in their places: {found}"


def _padded(chosen: Any, model: Any, batch: dict[str, Any]) -> str:
    import torch

    asked = chosen.arguments({name: value for name, value in batch.items() if name != "labels"})
    for side in chosen.tables("tiny").padding:
        with torch.no_grad():
            plain = model(**asked, **chosen.without_cache).logits
            wider = model(**chosen.padded(asked, side, 3, chosen.processor), **chosen.without_cache).logits
        kept = wider[:, 3:] if side == "left" else wider[:, :-3]
        if kept.shape != plain.shape or not torch.allclose(kept, plain, atol=1e-3):
            return f"padding on the {side} changes what it computes"
    return ""


def _others(chosen: Any, model: Any, samples: dict[str, Sample]) -> str:
    """Text alone and several pictures, where the type takes them."""
    refused = {"text": chosen.pictures_only, "several": chosen.blueprint.override.one_picture}
    for kind in [kind for kind, why in refused.items() if not why]:
        loss = chosen.loss(model, _batch(chosen, samples[kind]))
        if not bool(loss.isfinite()):
            return f"of {kind} the loss is {loss.item()}"
    one, several = (0 if refused["several"] else _places(chosen, samples[kind]) for kind in ("image", "several"))
    return "several pictures have no more places than one" if one and several <= one else ""


def _places(chosen: Any, sample: Sample) -> int:
    """How many tokens features of the sample's pictures go to."""
    return int(chosen.image_places(_batch(chosen, sample), chosen.processor).sum())
