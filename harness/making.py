"""Layer 3, making side. Makes one planned run in this process: build, tune, train, save, probe, under the recorder.

These are the jobs that workers run. Whatever happens is written into the trace; nothing is judged here.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.recipe import Recipe
from harness.seams import Moment, Seam, Seams

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from harness.families import Family
    from harness.families.family import Loaded
    from harness.recipe.fields import SampleKind
    from harness.recording import Recorder


RELOAD_REQUEST = "reload-request.json"


@dataclass
class Run:
    """One run under way: what was asked, where it goes, how long its stages took."""

    recipe: Recipe
    directory: Path
    base: Path
    seams: Seams
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def trace(self) -> Path:
        return self.directory / "trace"

    @property
    def saved(self) -> Path:
        return self.directory / "saved"


def make_base(argument: dict[str, Any]) -> None:
    """Job: write a family's tiny base directory, whole or not at all, with its inventory beside it."""
    from harness import stack
    from harness.checkpoint.inventory import fingerprints_by_dtype
    from harness.families import family
    from harness.trace.atomic import write_atomically

    stack.quiet()
    directory = Path(argument["directory"])
    partial = directory.with_name(f".{directory.name}.{os.getpid()}")
    partial.mkdir(parents=True)
    try:
        family(argument["family"]).write_base(partial)
        write_atomically(inventory_path(directory), json.dumps(fingerprints_by_dtype(partial)))
        partial.rename(directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def inventory_path(directory: Path) -> Path:
    """Where a base directory's inventory lies: beside it, for the directory is complete as it is."""
    return directory.with_name(f"{directory.name}.inventory.json")


def make_run(argument: dict[str, Any]) -> None:
    """Job: make one run of `recipe` (with `faults`) into `directory`, then the `probes`. Errors end up in the trace."""
    import torch

    from harness import stack
    from harness.families import family
    from harness.faults import seams_with
    from harness.recording import Recorder

    stack.quiet()
    torch.set_num_threads(1)
    recipe = Recipe.model_validate(argument["recipe"])
    torch.manual_seed(recipe.seed)
    torch.backends.cuda.matmul.allow_tf32 = recipe.tf32
    run = Run(recipe, Path(argument["directory"]), Path(argument["base"]), seams_with(argument.get("faults", ())))
    chosen = family(recipe.family)
    run.trace.mkdir(parents=True, exist_ok=True)
    _write_header(run, chosen, argument)
    with Recorder(run.trace) as recorder:
        try:
            _train(run, chosen, recorder, argument["probes"])
        except BaseException as error:
            recorder.failed(error)
            raise


def _train(run: Run, family: Family, recorder: Recorder, probes: list[str]) -> None:
    with _stage(run, recorder, "build"):
        loaded = _build(run, family)
    with _stage(run, recorder, "data"):
        batches, data = _batches(run.recipe, family, loaded)
        recorder.stream.emit("data", **data)
    with _stage(run, recorder, "tune"):
        from harness.tuning import tune

        model = tune(loaded.model, run.recipe, family, run.seams)
    with _stage(run, recorder, "train"):
        from harness.engines import engine

        engine(run.recipe.engine)(model, batches, run.recipe, run.seams, _component_of(family))
    if run.recipe.saves != "nothing":
        with _stage(run, recorder, "save"):
            from harness.saving import save

            save(model, loaded.processor, run.recipe, run.saved, run.seams)
    with _stage(run, recorder, "probe"):
        recorder.finish()
        _probe(run, family, loaded, model, recorder, probes)
    _write_measured(run)


def _build(run: Run, family: Family) -> Loaded:
    import torch

    from harness.families.promises import WEIGHTS

    loaded = family.load(run.base, getattr(torch, WEIGHTS[run.recipe.precision]))
    loaded.model = run.seams.alter(Seam.AFTER_BUILD, loaded.model, Moment(model=loaded.model))
    return loaded


def _batches(
    recipe: Recipe, family: Family, loaded: Loaded
) -> tuple[list[list[dict[str, torch.Tensor]]], dict[str, Any]]:
    """The micro-batches of each step, in the samples' order, and what the trace must say of them."""
    from harness.data import digest, select
    from harness.recording.batches import sample_fingerprints

    size, accumulation = recipe.data.batch_size, recipe.optimizer.accumulation
    samples = select(_samples(recipe), recipe.data.mix, recipe.steps * accumulation * size)
    encoded = [family.encode(sample, loaded.processor, recipe.data.max_length) for sample in samples]
    starts = range(0, len(samples), size)
    micro = [family.collate(encoded[at : at + size], loaded.processor) for at in starts]
    batches = [micro[at : at + accumulation] for at in range(0, len(micro), accumulation)]
    prints = [[sample_fingerprints(one["input_ids"][None])[0] for one in encoded[at : at + size]] for at in starts]
    names = [[sample.id for sample in samples[at : at + size]] for at in starts]
    return batches, {"digest": digest(samples), "samples": names, "fingerprints": prints}


def _samples(recipe: Recipe) -> Any:
    from harness.data import SHIPPED, read_samples

    return read_samples(SHIPPED if recipe.data.source == "shipped" else Path(recipe.data.source))


def _write_header(run: Run, family: Family, argument: dict[str, Any]) -> None:
    from harness import stack
    from harness.trace.atomic import write_atomically
    from harness.trace.schema import FORMAT_VERSION

    inventory = inventory_path(run.base)
    header = {
        "format": FORMAT_VERSION,
        "recipe_id": argument["recipe_id"],
        "recipe": run.recipe.model_dump(mode="json", exclude_defaults=True),
        "intent": family.intent(run.recipe).model_dump(mode="json"),
        "environment": stack.environment(),
        "process": argument["process"],
        "base": json.loads(inventory.read_text()) if inventory.exists() else None,
        "faults": list(argument.get("faults", ())),
    }
    write_atomically(run.trace / "header.json", json.dumps(header, indent=1, sort_keys=True) + "\n")


def _probe(run: Run, family: Family, loaded: Loaded, model: Any, recorder: Recorder, names: list[str]) -> None:
    """Run the probes asked for, on one batch with an image and one of text, and leave the inputs for the reloader."""
    from harness.probes import PROBES, Probed, undisturbed

    if not names:
        return
    samples = _probe_samples(run.recipe)
    encoded = {k: family.encode(sample, loaded.processor, run.recipe.data.max_length) for k, sample in samples.items()}
    batches = {name: family.collate([one], loaded.processor) for name, one in encoded.items()}
    for batch in batches.values():
        del batch["labels"]
    recorder.stream.emit("encoded", batches=_fingerprints(batches))
    batches = {name: {k: _as_weights(v, model) for k, v in batch.items()} for name, batch in batches.items()}
    _leave_for_reloader(run, batches, {name: family.prompt(sample) for name, sample in samples.items()})
    with recorder.paused(), undisturbed(model):
        for name in names:
            facts, arrays = PROBES[name](Probed(model, batches))
            stored = recorder.stream.arrays(arrays) if arrays else None
            recorder.stream.emit("probe", name=name, arrays=stored, **facts)


def _leave_for_reloader(run: Run, batches: dict[str, dict[str, torch.Tensor]], prompts: dict[str, Any]) -> None:
    """Inputs and prompts as plain files beside the trace, not in it: a trace keeps no text and no pixels."""
    from harness.families.promises import WEIGHTS
    from harness.trace.atomic import write_atomically
    from harness.trace.writer import write_safetensors

    inputs = run.directory / "probe-inputs.safetensors"
    write_safetensors(inputs, {f"{name}/{key}": v for name, batch in batches.items() for key, v in batch.items()})
    request = {
        "directory": str(run.saved),
        "trace": str(run.trace),
        "inputs": str(inputs),
        "prompts": prompts,
        "dtype": WEIGHTS[run.recipe.precision],
        "processor": run.recipe.save.processor,
    }
    write_atomically(run.directory / RELOAD_REQUEST, json.dumps(request))


def _as_weights(value: torch.Tensor, model: Any) -> torch.Tensor:
    """Pixels in the dtype of the weights: a pure 16-bit model takes no others."""
    weights = next(model.parameters()).dtype
    return value.to(weights) if value.is_floating_point() else value


def _fingerprints(batches: dict[str, dict[str, torch.Tensor]]) -> dict[str, dict[str, str]]:
    from harness.trace.fingerprint import as_hex, fingerprint

    return {name: {k: as_hex(fingerprint(v)) for k, v in sorted(batch.items())} for name, batch in batches.items()}


def _probe_samples(recipe: Recipe) -> dict[str, Any]:
    """The first shipped sample with one image, and the first of text alone: the same for every recipe."""
    from harness.data import SHIPPED, read_samples, select

    shipped = read_samples(SHIPPED)
    kinds: tuple[SampleKind, ...] = ("text",) if set(recipe.data.mix) == {"text"} else ("image", "text")
    return {kind: select(shipped, (kind,), 1)[0] for kind in kinds}


def _component_of(family: Family) -> Any:
    from harness.families.family import components_of

    return lambda path: components_of(family, path)


@contextmanager
def _stage(run: Run, recorder: Recorder, name: str) -> Iterator[None]:
    recorder.enter_stage(name)
    started = time.perf_counter()
    try:
        yield
    finally:
        run.seconds[name] = round(time.perf_counter() - started, 4)


def _write_measured(run: Run) -> None:
    from harness.trace.atomic import write_atomically

    write_atomically(run.trace / "measured.json", json.dumps({"seconds": run.seconds}) + "\n")
