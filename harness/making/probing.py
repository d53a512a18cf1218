"""The inputs of probes, and what is left for the process that loads a directory as a stranger.

One sample with an image and one of text alone, the same for every recipe: what a trained model gives for them is
compared with what its base gave, and with what comes back from disk.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.devices import moved
from harness.families.family import reads_pictures, takes_text_alone
from harness.places import INPUTS, REQUEST
from harness.recipe import Recipe

if TYPE_CHECKING:
    import torch

    from harness.families import Family
    from harness.families.family import Loaded
    from harness.probes import Feeding
    from harness.recipe.fields import SampleKind
    from harness.recording import Recorder

NO_LIMIT = 1 << 30  # tokens: the recipe's limit is for its own samples
PADDING = 7  # tokens on one side: odd, so that no length stays a multiple of what kernels like


@dataclass(frozen=True)
class ProbeInputs:
    """By name: prompts as plain data, encoded samples, and collated batches of one sample each, without labels."""

    prompts: dict[str, dict[str, Any]]
    encoded: dict[str, dict[str, Any]]
    batches: dict[str, dict[str, Any]]


def probe_inputs(recipe: Recipe, family: Family, loaded: Loaded) -> ProbeInputs:
    """The inputs for a recipe, its pixels in the dtype of the weights: a pure 16-bit model takes no others."""
    samples = _samples(recipe, family)
    encoded = {name: family.encode(one, loaded.processor, recipe.data.max_length) for name, one in samples.items()}
    return ProbeInputs(
        prompts={name: family.prompt(sample) for name, sample in samples.items()},
        encoded=encoded,
        batches={name: _collated([one], family, loaded) for name, one in encoded.items()},
    )


def leave_request(place: Path, inputs: ProbeInputs, family: Family, **facts: Any) -> None:
    """Write inputs and prompts as plain files, not into the trace: a trace keeps no text and no pixels."""
    from harness.reloading.request import Request
    from harness.trace.atomic import write_atomically
    from harness.trace.nested import taken_apart
    from harness.trace.writer import write_safetensors

    place.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    arguments = {name: taken_apart(family.arguments(b), f"{name}/a", tensors) for name, b in inputs.batches.items()}
    generation = {name: taken_apart(family.generation(b), f"{name}/g", tensors) for name, b in inputs.batches.items()}
    write_safetensors(place / INPUTS, {name: tensor.contiguous() for name, tensor in tensors.items()})
    request = Request(
        inputs=str(place / INPUTS), arguments=arguments, generation=generation, prompts=inputs.prompts, **facts
    )
    write_atomically(place / REQUEST, json.dumps(asdict(request)))


def feeding(recipe: Recipe, inputs: ProbeInputs, family: Family, loaded: Loaded) -> Feeding:
    """A batch of several samples, and what else probes must know of how the family feeds its model."""
    from harness.probes import Feeding

    processor = loaded.processor
    company = {**inputs.encoded, **_company(recipe, family, processor)}
    if "image" in company and not family.text_beside_images:
        company.pop("text", None)
    return Feeding(
        names=tuple(company),
        together=_collated(list(company.values()), family, loaded),
        padded=lambda batch, side: family.padded(batch, side, PADDING, processor),
        places=lambda batch: family.image_places(batch, processor),
        connector=family.handles.components.get("connector"),
        layers=family.handles.layers["language"],
        features=family.handles.features,
    )


def run_probes(
    names: list[str],
    inputs: ProbeInputs,
    family: Family,
    model: torch.nn.Module,
    recorder: Recorder,
    fed: Feeding | None = None,
) -> None:
    """Run the named probes on the trained model, and write what they found into the trace."""
    from harness.families.family import components_of
    from harness.probes import PROBES, Probed, frozen_in_train_mode, undisturbed

    first = recorder.models[0].first_values() if recorder.models else None
    frozen = frozen_in_train_mode(model, lambda path: components_of(family, path))
    device = next(model.parameters()).device
    fed = replace(fed, together=moved(fed.together, device)) if fed else None
    probed = Probed(
        model, moved(inputs.batches, device), family.arguments, family.generation, first, frozen, feeding=fed
    )
    with recorder.paused(), undisturbed(model):
        for name in names:
            try:
                facts, arrays = PROBES[name](probed)
            except Exception as error:  # the model cannot do what the probe asks: that is for the checks to say
                facts, arrays = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}, {}
            stored = recorder.stream.arrays(arrays) if arrays else None
            recorder.stream.emit("probe", name=name, arrays=stored, **facts)


def _in(dtype: torch.dtype) -> Any:
    return lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor


def _text_alone(recipe: Recipe, family: Family) -> bool:
    """Whether the recipe shows no pictures, or the family has nothing to see them with."""
    return set(recipe.data.mix) == {"text"} or not reads_pictures(family)


def _samples(recipe: Recipe, family: Family) -> dict[str, Any]:
    """The first shipped sample with one image, and the first of text alone; no image where the recipe has none, and no
    text alone where the family takes none."""
    from harness.data import SHIPPED, read_samples, select

    shipped = read_samples(SHIPPED)
    kinds: tuple[SampleKind, ...] = ("text",) if _text_alone(recipe, family) else ("image", "text")
    if not takes_text_alone(family):
        kinds = ("image",)
    return {kind: select(shipped, (kind,), 1)[0] for kind in kinds}


def _company(recipe: Recipe, family: Family, processor: Any) -> dict[str, dict[str, Any]]:
    """A sample to share a batch with those of the probes: of several images, or more text where there are none.

    A family that takes one image a sample is given another sample of one.
    """
    from harness.data import SHIPPED, read_samples, select
    from harness.refusal import Refused

    shipped = read_samples(SHIPPED)
    if _text_alone(recipe, family):
        return {"text-2": family.encode(select(shipped, ("text",), 2)[1], processor, NO_LIMIT)}
    try:
        return {"several": family.encode(select(shipped, ("several",), 1)[0], processor, NO_LIMIT)}
    except Refused:
        return {"image-2": family.encode(select(shipped, ("image",), 2)[1], processor, NO_LIMIT)}


def _collated(encoded: list[dict[str, Any]], family: Family, loaded: Loaded) -> dict[str, Any]:
    """A batch without labels, its pixels in the dtype of the weights."""
    from harness.trace.nested import mapped

    batch = family.collate(encoded, loaded.processor)
    dtype = next(loaded.model.parameters()).dtype
    inputs: dict[str, Any] = mapped({name: value for name, value in batch.items() if name != "labels"}, _in(dtype))
    return inputs
