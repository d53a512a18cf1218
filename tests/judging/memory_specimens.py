"""Specimens of runs whose memory was watched: peaks by phase, what each step began with, whose gradients there were."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from math import prod
from typing import Any

from harness.checks.memory_phases import COARSE
from tests.judging.faultless_model import PARAMETERS
from tests.judging.pace_specimens import both

Evidence = Any
Alteration = Callable[[Evidence], object]
FROZEN = next(path for path, _, trains in PARAMETERS if not trains)
KEPT = 1 << 20
OF_ONE = 16  # bytes of a parameter
LOADED = OF_ONE * sum(role in {"base", "original"} for _, role, _ in PARAMETERS)
ADDED = OF_ONE * len(PARAMETERS) - LOADED


def sizes(e: Evidence) -> dict[str, int]:
    """The bytes of each parameter that trains."""
    columns = e.one("parameters")
    bits = {"float32": 32, "bfloat16": 16, "float16": 16}
    rows = zip(columns["path"], columns["shape"], columns["dtype"], columns["requires_grad"], strict=True)
    return {
        path: prod(shape) * bits[dtype.removeprefix("torch.")] // 8 for path, shape, dtype, trains in rows if trains
    }


def watched(*alterations: Callable[[dict[str, Any]], object]) -> Alteration:
    """A run that took what a bare loop did, but for the alterations."""

    def alter(e: Evidence) -> None:
        e.intent["budget"] = {"memory": {}}
        e.intent["mechanisms"]["checkpointing"] = False
        e.partners["paced"] = [deepcopy(e.one(kind)) for kind in ("model", "parameters", "closing")]
        trained = sizes(e)
        gradients = sum(trained.values())
        peak = {"forward": 3 * gradients + KEPT, "backward": 3 * gradients + KEPT, "optimizer": 4 * gradients}
        memory = {
            "device": "cpu: a kind",
            "run": {"peak": dict(peak), "began": [2 * gradients] * 4},
            "bare": {"peak": dict(peak), "began": [2 * gradients] * 4},
            "gradients": dict(trained),
            "states": {path: 2 * size for path, size in trained.items()},
            "batch": 0,
            "kept": {"language": KEPT},
            "kept_without_checkpointing": {"language": KEPT},
            "recomputable": ["language", "vision"],
            "phases": phases(),
        }
        for one in alterations:
            one(memory)
        e.measured["paced"] = {"memory": memory}

    return alter


def phases() -> dict[str, dict[str, int]]:
    """Files that are mapped, and all their weights copied; then what an adapter adds, and nothing else."""
    return {
        "load": {"peak": 2 * LOADED, "left": LOADED, "resident": COARSE // 2},
        "build": {"peak": 0, "left": 0, "resident": 0},
        "tune": {"peak": ADDED, "left": ADDED, "resident": 0},
        "save": {"peak": ADDED, "left": 0, "resident": 0},
        "given": {"files": LOADED, "buffers": 0, "laid over": 0, "buffers of adapters": 0},
    }


def more(phase: str, when: str, size: int) -> Callable[[dict[str, Any]], object]:
    """So many bytes more while a phase lasts, or left of it."""
    return lambda m: m["phases"][phase].update({when: m["phases"][phase][when] + size})


def recomputing(kept: int) -> Alteration:
    """The recipe asks for checkpointing, and so much is kept."""
    return both(
        watched(lambda m: m.update(kept={"language": kept})),
        lambda e: e.intent["mechanisms"].update(checkpointing=True),
    )


def copied_beside(e: Evidence) -> None:
    """What trains has another name in the run beside."""
    columns, memory = e.partners["paced"][1], e.measured["paced"]["memory"]
    names = {path: path.replace("modules_to_save.default.", "modules_to_save.other.") for path in columns["path"]}
    columns["path"] = list(names.values())
    for held in ("gradients", "states"):
        memory[held] = {names[path]: size for path, size in memory[held].items()}


def times(phase: str, factor: float) -> Callable[[dict[str, Any]], object]:
    return lambda m: m["run"]["peak"].update({phase: int(m["run"]["peak"][phase] * factor)})


def began(*bytes_more: int) -> Callable[[dict[str, Any]], object]:
    return lambda m: m["run"].update(began=[10_000 + more for more in bytes_more])


SETTINGS: dict[str, Alteration] = {"memory_within_budget": watched()}
SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "memory_within_budget": [
        ("GradientOfFrozen", "one frozen parameter", watched(lambda m: m["gradients"].update({FROZEN: 4}))),
        ("StateOfFrozen", "one frozen parameter", watched(lambda m: m["states"].update({FROZEN: 4}))),
        ("StateOfFrozen", "a third moment of all", watched(
            lambda m: m.update(states={path: size * 3 // 2 for path, size in m["states"].items()}))),
        ("PeakTooHigh", "a copy of the gradients", watched(times("optimizer", 1.25))),
        ("PeakTooHigh", "activations twice", watched(times("backward", 1.9))),
        ("MemoryGrows", "one number at each step", watched(began(0, 4, 8, 12))),
        ("FrozenTowerKeeps", "one activation", watched(lambda m: m["kept"].update(vision=4))),
        ("PhaseKeeps", "the base a second time", watched(more("load", "left", LOADED))),
        ("PhaseKeeps", "a model beside that was laid over this one", watched(more("build", "left", LOADED))),
        ("PhaseKeeps", "copies of what is frozen", watched(more("tune", "left", LOADED))),
        ("PhaseKeeps", "two tensors of what was saved", watched(more("save", "left", 2 * OF_ONE))),
        ("PhasePeakTooHigh", "the files a second time", watched(more("load", "peak", LOADED))),
        ("PhasePeakTooHigh", "the weights once more", watched(more("build", "peak", LOADED))),
        ("PhasePeakTooHigh", "the weights in another dtype", watched(more("tune", "peak", LOADED))),
        ("PhasePeakTooHigh", "a copy of the state dict", watched(more("save", "peak", LOADED))),
        ("PhasePeakTooHigh", "bytes of Python's own", watched(more("save", "resident", 2 * COARSE))),
        ("CheckpointingKeeps", "most of the layers", recomputing(KEPT * 6 // 10)),
    ]
}  # fmt: skip
SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "memory_within_budget": [
        ("a twentieth more", watched(times("backward", 1.05))),
        ("less than estimated", watched(times("forward", 0.5))),
        ("one tensor at a time, converted", watched(*(
            more(phase, "peak", OF_ONE) for phase in ("load", "build", "tune", "save")))),
        ("files that are mapped and not copied", watched(lambda m: m["phases"]["load"].update(peak=LOADED))),
        ("libraries of a GPU's own", watched(
            more("tune", "resident", 20 * COARSE), lambda m: m.update(device="cuda: a kind"))),
        ("it grew once", watched(began(0, 4, 4, 8))),
        ("batches made late, of different sizes", watched(began(0, 40, 80, 90), lambda m: m.update(batch=100))),
        ("the batch, made as its step comes", watched(
            lambda m: m["run"]["peak"].update({phase: most + 10_000 for phase, most in m["run"]["peak"].items()}),
            lambda m: m.update(batch=10_000))),
        ("a copy of what the run trains in place", both(watched(), copied_beside)),
        ("layers that nothing has computed again", both(
            recomputing(KEPT), lambda e: e.measured["paced"]["memory"].update(recomputable=["vision"]))),
        ("a parameter without a gradient", watched(lambda m: m["gradients"].popitem())),
        ("layers computed again", recomputing(KEPT // 10)),
        ("a tower whose input libraries make want one", both(
            recomputing(KEPT // 10), lambda e: e.measured["paced"]["memory"]["kept"].update(vision=4),
            lambda e: e.measured["paced"]["memory"]["kept_without_checkpointing"].update(vision=40))),
    ]
}  # fmt: skip
