"""What was saved, loaded under a stack by a process that knows no family: the directory and public Auto classes."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.compat.saving import Saved
from harness.compat.workplace import Workplace
from harness.launch import Job, Launcher, last_lines
from harness.places import MODULES, RELOAD, REQUEST, SAVED
from harness.running.workers import folder_name
from harness.stacks import Layered
from harness.trace.reader import Trace, read_stream, read_trace


@dataclass(frozen=True)
class Loaded:
    """What a stack saw of what another (or itself) has saved: under the names of the run that saved it."""

    saved: Saved
    stack: str
    trace: Trace
    seconds: float

    @property
    def record(self) -> dict[str, Any]:
        return dict(self.trace.reloaded or {})


def load_all(
    place: Workplace, stack: Layered, saves: Sequence[Saved], bases: Mapping[str, Path | None]
) -> list[Loaded]:
    """Load each save under a stack. `bases` are the stack's own bases by recipe, for what is laid over one."""
    with place.launcher(stack, "reload") as reloaders:
        return [_loaded(place, reloaders, stack, one, bases) for one in saves if one.there]


def _loaded(
    place: Workplace, reloaders: Launcher, stack: Layered, saved: Saved, bases: Mapping[str, Path | None]
) -> Loaded:
    started = time.perf_counter()
    assert saved.trace is not None
    name = folder_name(saved.wanted.recipe_id)
    folder = place.folder_of(stack.name) / "loads" / f"{name}@{saved.stack}"
    own = saved.stack == stack.name
    top = saved.run / "trace" if own else folder
    shutil.rmtree(top / "reload", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    job = _job(saved, folder, top / "reload", saved.base if own else bases.get(saved.wanted.recipe_id))
    try:
        ended = reloaders.run(job)
        said = f"{ended.description}: {last_lines(Path(job.output))}"
    except RuntimeError as error:  # the libraries do not even import
        said = str(error)
    place.refuse_stopped()
    events = top / "reload" / "events.jsonl"
    if not any(record["kind"] == "reloaded" for record in read_stream(events)):
        events.parent.mkdir(parents=True, exist_ok=True)
        with events.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"kind": "reloaded", "model_error": said}) + "\n")
    then = saved.trace
    seen = read_trace(top) if own else Trace(top, then.header, reload=read_stream(events), rules=then.rules)
    return Loaded(saved, stack.name, seen, round(time.perf_counter() - started, 3))


def _job(saved: Saved, folder: Path, stream: Path, base: Path | None) -> Job:
    request = json.loads((saved.run / RELOAD / REQUEST).read_text(encoding="utf-8"))
    recipe, own = saved.wanted.recipe, Path(request["base"])
    other = base if base is not None and _is_familys(saved.base) else own
    request |= {
        "directory": str(_over(saved.run / SAVED, own, other, folder / SAVED)),
        "base": str(other),
        "stream": str(stream),
        "modules": str(folder / MODULES),
        "pixels": True,
    }
    output = str(folder / "output.txt")
    return Job("harness.reloading.jobs:reload", request, output, recipe.limits.seconds, recipe.limits.memory_gb)


def _is_familys(base: Path | None) -> bool:
    """Whether a base is that which every stack writes for itself, with equal weights: a published checkpoint stands
    for it. What an earlier recipe has saved is each stack's own."""
    return base is not None and base.parent.name == "bases"


def _over(saved: Path, own: Path, other: Path, copy: Path) -> Path:
    """The saved directory, or a copy of it whose files name another base than the one it was made from."""
    names = [(str(own).encode(), str(other).encode()), (json.dumps(str(own)).encode(), json.dumps(str(other)).encode())]
    files = [path for path in saved.rglob("*.json") if own != other and names[0][0] in path.read_bytes()]
    if not files:
        return saved
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(saved, copy)
    for path in files:
        target = copy / path.relative_to(saved)
        content = target.read_bytes()
        for old, new in names:
            content = content.replace(old, new)
        target.write_bytes(content)
    return copy
