"""Paths that a suite starts from: relative to the suite's file, and there."""

from __future__ import annotations

from pathlib import Path

from harness.recipe.deepspeed import DeepSpeed
from harness.recipe.fields import OWN_TOWER, Composed, EarlierRecipe, Source
from harness.refusal import Refused


def config_resolved(settings: DeepSpeed, path: Path, where: str) -> DeepSpeed:
    """The same settings with the path of a DeepSpeed JSON resolved. Raises Refused for one that is not there."""
    if settings.config is None:
        return settings
    file = path.parent / settings.config
    if not file.is_file():
        raise Refused(f"deepspeed.config: no file {file}", where=where, do="name a DeepSpeed JSON")
    resolved = settings.model_copy(update={"config": str(file)})
    resolved.asked()
    return resolved


def start_resolved(start: Source | Composed, path: Path, where: str) -> Source | Composed:
    """The same start with its paths resolved. Raises Refused, in one line, for what is not there."""
    if isinstance(start, str):
        return _whole_directory(start, path, "start_from", where)
    if isinstance(start, EarlierRecipe):
        return start
    known = {name: source for name in type(start).model_fields if isinstance(source := getattr(start, name), str)}
    base = {"base": _whole_directory(known["base"], path, "start_from.base", where)} if "base" in known else {}
    parts = {
        name: _existing(path.parent / source, f"start_from.{name}", where)
        for name, source in known.items()
        if name != "base" and source != OWN_TOWER
    }
    return start.model_copy(update={**base, **parts})


def _whole_directory(named: str, path: Path, setting: str, where: str) -> str:
    if named == "fresh":
        return named
    start = Path(_existing(path.parent / named, setting, where, do="name a saved directory, or fresh"))
    if not (start / "config.json").is_file():
        raise Refused(f"{setting}: {start} has no config.json", where=where, do=_completing(start))
    return str(start)


def _existing(place: Path, setting: str, where: str, do: str = "name what an earlier run has saved") -> str:
    if not place.exists():
        raise Refused(f"{setting}: no directory {place.absolute()}", where=where, do=do)
    return str(place)


def _completing(start: Path) -> str:
    """What to do with a directory that holds no whole model."""
    for part, file in (("adapter", "adapter_config.json"), ("projector", "mm_projector.bin")):
        if (start / file).is_file():
            return f"it holds {file}: write start_from: {{base: BASE, {part}: {start}}}"
    return "name a complete saved directory"
