"""The newest directory that a training saved, loaded in a fresh process by Auto classes or the user's own loader."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.checkpoint.files import ADAPTER
from harness.checkpoint.json_files import CONFIG, entries
from harness.launch import Job, Launcher, last_lines
from harness.places import MODULES, RELOAD
from harness.reloading.request import Request
from harness.trace.reader import read_stream, read_trace

if TYPE_CHECKING:
    from harness.trace.reader import Trace

SECONDS = 600.0
TRUST_IT = "say trust_remote_code: true in an intent file, or name a loader there"
NAME_A_LOADER = "name a function that gives the model, save: {loader: module:function}, in an intent file"


def load_again(out: Path, trace: Trace, loader: str | None = None, trusted: bool = False) -> Trace:
    """Load what a training saved last and is still there, and put what came of it beside its trace. What the recorder
    left for it, a batch among it, is gone afterwards. Code that lies in the directory runs if it is `trusted`."""
    left = out / RELOAD / trace.directory.name
    try:
        file = next(iter(sorted(left.glob("rank-*.json"))), None)
        if file is None:
            return trace
        asked: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        place = trace.directory / RELOAD
        place.mkdir(exist_ok=True)
        there = [number for number, one in enumerate(asked["directories"]) if Path(one).is_dir()]
        directory = Path(asked["directories"][there[-1]]) if there else None
        if directory is None or (why := _why_not(directory, loader, trusted)):
            _add(place, {"kind": "not_reloaded", "reason": why if directory else "every saved directory is gone"})
        else:
            _load(directory, asked, place, left, loader, _sees(trace), trusted)
            _add(place, {"kind": "loaded_directory", "rank": int(file.stem[len("rank-") :]), "number": there[-1]})
    finally:
        shutil.rmtree(left, ignore_errors=True)
    return read_trace(trace.directory)


def _why_not(directory: Path, loader: str | None, trusted: bool) -> str:
    """Why a directory cannot be loaded without more being said; nothing where it can."""
    if loader or (directory / ADAPTER).is_file():
        return ""
    if not (directory / CONFIG).is_file():
        return f"{directory.name} is of no format that Auto classes load: {NAME_A_LOADER}"
    if not trusted and "auto_map" in entries(directory / CONFIG):
        return f"{directory.name} names code of its own, which is not run unasked: {TRUST_IT}"
    return ""


def _sees(trace: Trace) -> bool:
    return any("pixels" in event for event in trace.of("forward"))


def _load(
    directory: Path,
    asked: dict[str, Any],
    place: Path,
    left: Path,
    loader: str | None,
    processor: bool,
    trusted: bool,
) -> None:
    adapter = (directory / ADAPTER).is_file() and not loader
    request = Request(
        directory=str(directory),
        stream=str(place),
        inputs=str(left / asked["inputs"]) if "inputs" in asked else "",
        arguments=asked["arguments"],
        positional=asked["positional"],
        generation={},
        prompts={},
        dtype=asked["dtype"],
        modules=str(left / MODULES),
        what="adapter" if adapter else "full",
        tokenizer=(directory / "tokenizer_config.json").is_file(),
        processor=processor and not adapter,
        loader=loader,
        trust_remote_code=trusted,
        listed=_files_alone(directory, asked["files"].get(str(directory), ()), left / "files"),
    )
    output = left / "output.txt"
    ended = Launcher(None).run(Job("harness.reloading.jobs:reload", asdict(request), str(output), SECONDS))
    records = read_stream(place / "events.jsonl")
    if not any(one["kind"] == "reloaded" for one in records):
        _add(place, {"kind": "reloaded", "model_error": f"{ended.description}: {last_lines(output)}"})


def _files_alone(directory: Path, files: Sequence[str], place: Path) -> str:
    """A directory with links to the files that were saved by themselves; nothing where a library saved it all."""
    if not files:
        return ""
    place.mkdir(parents=True)
    for name in files:
        if (directory / name).is_file():
            (place / name).symlink_to(directory / name)
    return str(place)


def _add(place: Path, record: dict[str, Any]) -> None:
    with (place / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
