"""Makes one planned run in this process: build, tune, train, save, probe, under the recorder.

This is a job that workers run. Whatever happens is written into the trace; nothing is judged here.
"""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.launch.interruption import Interruption, interruption_of
from harness.launch.rendezvous import Rank, rank_of
from harness.making.measurement import measured, watched_phases
from harness.making.micro_batches import fed
from harness.making.precision import weights_dtype
from harness.places import MODULES, RELOAD, SAVED
from harness.recipe import Recipe
from harness.seams import Moment, Seam, Seams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.families import Family
    from harness.families.family import Loaded
    from harness.measuring import Phases
    from harness.recording import Recorder


@dataclass
class Run:
    """One run under way: what was asked, where it goes, how long its stages took."""

    recipe: Recipe
    directory: Path
    base: Path
    seams: Seams
    inventory: str | None = None
    reload: bool = False
    parts: tuple[dict[str, str], ...] = ()
    towers: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    bytes_of_batches: int = 0
    measured: dict[str, Any] = field(default_factory=dict)
    phases: Phases | None = None
    rank: Rank = field(default_factory=rank_of)
    interruption: Interruption = field(default_factory=Interruption)

    @property
    def first(self) -> bool:
        """Whether this process is the one that saves and looks at the model afterwards."""
        return self.rank.number == 0

    def watched(self, phase: str) -> AbstractContextManager[None]:
        """Within, memory is watched, where the budget of a run that is measured asks for it."""
        return self.phases.of(phase) if self.phases else nullcontext()

    @property
    def trace(self) -> Path:
        return self.directory / "trace"

    @property
    def saved(self) -> Path:
        return self.directory / SAVED


def make_run(argument: dict[str, Any]) -> None:
    """Job: make one run of `recipe` (with `faults`) into `directory`, then the `probes`. Errors end up in the trace."""
    from harness import devices, stack
    from harness.engines import prepared
    from harness.families import family_of
    from harness.faults import seams_with
    from harness.recording import Recorder

    stack.quiet()
    recipe = Recipe.model_validate(argument["recipe"])
    devices.prepare(recipe)
    faults = seams_with(argument.get("faults", ()))
    places = Path(argument["directory"]), Path(argument["base"])
    run = Run(
        recipe, *places, faults, argument["inventory"], argument["reload"], tuple(argument["parts"]), argument["towers"]
    )
    run.interruption = interruption_of(argument.get("interruption"))
    run.rank = faults.alter(Seam.RANK, run.rank, Moment())
    stack.use_modules_cache(run.directory / MODULES / ("made" if run.first else f"made-{run.rank.number}"))
    chosen = family_of(recipe)
    run.trace.mkdir(parents=True, exist_ok=True)
    if run.first:
        _write_header(run, chosen, argument)
    prepared(recipe.engine)
    with Recorder(run.trace, run.rank.number, run.interruption.first_step) as recorder:
        try:
            _train(run, chosen, recorder, argument["probes"], argument.get("measured", False))
        except BaseException as error:
            recorder.failed(error)
            raise


def _train(run: Run, family: Family, recorder: Recorder, probes: list[str], measure: bool) -> None:
    if measure:
        run.phases = watched_phases(run.recipe)
    with _stage(run, recorder, "build"):
        loaded = build(run, family, recorder)
    with _stage(run, recorder, "data"):
        given = fed(run.recipe, family, loaded, run.rank.number, run.rank.world, run.interruption.first_step)
        run.bytes_of_batches = given.bytes_held
        recorder.stream.emit("data", **given.facts)
    with _stage(run, recorder, "tune"), run.watched("tune"):
        from harness import devices
        from harness.tuning import tune

        continued = next((Path(part["file"]).parent for part in run.parts if part["kind"] == "adapter"), None)
        model = devices.placed(tune(loaded.model, run.recipe, family, run.seams, continued), run.recipe)
    with ExitStack() as together:
        measurement = (
            together.enter_context(measured(run.recipe, family, model, recorder, given.steps)) if measure else None
        )
        with _stage(run, recorder, "train"):
            from harness.engines import engine
            from harness.engines.logs import logged
            from harness.engines.process_group import joined

            together.enter_context(joined(run.rank, run.recipe.launch.wait_seconds))
            how = given.steps, run.recipe, run.seams, component_of(family), family.loss
            with logged(run.recipe.logging, run.directory, recorder) as log:
                trained = engine(run.recipe.engine)(model, *how, **log, **run.interruption.options)
        if run.recipe.saves != "nothing" and not run.interruption.ends_early:
            with _stage(run, recorder, "save"):
                from harness.saving import gathered, save

                weights = gathered(trained, run.saved)
                if measurement:
                    measurement.steps_are_over()
                if run.first:
                    with run.watched("save"):
                        save(loaded, model, run.recipe, family.handles, run.saved, run.seams, trained, weights)
        if release := getattr(trained, "release", None):
            release()
    with _stage(run, recorder, "probe"):
        recorder.finish()
        if (probes or run.reload) and run.first:
            _probe(run, family, loaded, model, recorder, probes)
        if measurement:
            run.measured = measurement.finished()
            if run.phases:
                run.measured["memory"]["phases"] = run.phases.to_json(model)
    if run.first:
        _write_measured(run)


def build(run: Run, family: Family, recorder: Recorder | None = None) -> Loaded:
    from harness.making.parts import created, lay_parts_over, loaded_base, own_towers

    with run.watched("load"):
        loaded = loaded_base(family, run.recipe, run.base, weights_dtype(run.recipe))
        loaded.model = run.seams.alter(Seam.LOADED, loaded.model, Moment(model=loaded.model, base=run.base))
    if run.phases:
        beside = [Path(part["file"]) for part in run.parts if part["kind"] != "adapter"]
        run.phases.loaded(loaded.model, run.base, [*beside, *map(Path, run.towers.values())], run.recipe.created)
    with run.watched("build"):
        if run.recipe.created:
            loaded.model = created(loaded.model)
        towers = own_towers(loaded.model, run.recipe, family, run.towers)
        if towers and recorder:
            recorder.stream.emit("towers", towers=towers)
        lay_parts_over(loaded.model, run.parts, run.base, run.seams)
        if run.recipe.add_tokens:
            from harness.tuning import add_tokens

            add_tokens(loaded, run.recipe.add_tokens)
        loaded.model = run.seams.alter(Seam.AFTER_BUILD, loaded.model, Moment(model=loaded.model, base=run.base))
    return loaded


def _write_header(run: Run, family: Family, argument: dict[str, Any]) -> None:
    from harness import devices
    from harness.making.parts import with_parts
    from harness.trace.atomic import write_atomically
    from harness.trace.schema import FORMAT_VERSION

    inventory = json.loads(Path(run.inventory).read_text(encoding="utf-8")) if run.inventory else {}
    header = {
        "format": FORMAT_VERSION,
        "recipe_id": argument["recipe_id"],
        "recipe": run.recipe.model_dump(mode="json", exclude_defaults=True),
        "intent": family.intent(run.recipe).model_dump(mode="json"),
        "environment": devices.environment(run.recipe),
        "process": argument["process"],
        "base": with_parts(inventory, family),
        "adapter": inventory.get("adapter"),
        "base_roles": inventory.get("roles"),
        "faults": list(argument.get("faults", ())),
    }
    write_atomically(run.trace / "header.json", json.dumps(header, indent=1, sort_keys=True) + "\n")


def _probe(run: Run, family: Family, loaded: Loaded, model: Any, recorder: Recorder, names: list[str]) -> None:
    """Run the probes asked for, and leave the inputs for the process that loads what was saved."""
    from harness.data.prompts import encoded_prompts
    from harness.families.family import has_processor
    from harness.families.promises import WEIGHTS
    from harness.making.probing import feeding, leave_request, probe_inputs, run_probes

    inputs = probe_inputs(run.recipe, family, loaded)
    tokens = len(loaded.processor.tokenizer)
    recorder.stream.emit("encoded", batches=encoded_prompts(loaded.processor, inputs.prompts), tokens=tokens)
    leave_request(
        run.directory / RELOAD,
        inputs,
        family,
        directory=str(run.saved),
        base=str(run.base),
        code=family.handles.code_of(run.recipe.peft),
        stream=str(run.trace / "reload"),
        modules=str(run.directory / MODULES / "loaded"),
        dtype=WEIGHTS[run.recipe.precision],
        device=run.recipe.device,
        tf32=run.recipe.tf32,
        attention=run.recipe.attention,
        what=run.recipe.saves,
        towers=[asdict(tower) for tower in family.handles.towers],
        processor=run.recipe.saves_processor and has_processor(family, run.recipe),
        tokenizer=run.recipe.saves_processor or run.recipe.save.tokenizer,
        trust_remote_code=run.recipe.trust_remote_code,
        loader=run.recipe.save.loader,
        processor_loader=run.recipe.save.processor_loader,
    )
    run_probes(names, inputs, family, model, recorder, feeding(run.recipe, inputs, family, loaded) if names else None)


def component_of(family: Family) -> Any:
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

    write_atomically(
        run.trace / "measured.json",
        json.dumps({"seconds": run.seconds, "bytes of batches held": run.bytes_of_batches, **run.measured}) + "\n",
    )
