"""`harness inspect`: a saved directory judged by its files, completed from its base, or given a tuned part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.shown import AsJson, print_json
from harness.refusal import Refused

if TYPE_CHECKING:
    from harness.checkpoint.composing import Composed
    from harness.checkpoint.inspecting import Inspection
    from harness.checkpoint.repair import Repaired


_Base = Annotated[Path | None, typer.Option(help="the directory that it was trained from")]
_Kind = Annotated[
    str | None, typer.Option(help="what it was meant to hold and nothing more: full, adapter, partial and so on")
]
_LeftOut = Annotated[
    list[str] | None, typer.Option(help="keys that were not to be saved, a regular expression; repeatable")
]
_Hashes = Annotated[bool, typer.Option("--hashes", help="read every value: fingerprints, and whether all are finite")]
_Repair = Annotated[
    bool,
    typer.Option("--repair", help="write a completed copy: files from the base, never weights; an index of shards"),
]
_Out = Annotated[Path | None, typer.Option(help="where the copy goes; as a rule beside the checkpoint, with -repaired")]
_InPlace = Annotated[bool, typer.Option("--in-place", help="complete the directory itself, not a copy")]
_Vision = Annotated[Path | None, typer.Option(help="write a copy whose vision tower is that of another save")]
_With = Annotated[
    str | None, typer.Option("--with", metavar="COMPONENT=DIR", help="the same for vision, connector or language")
]


def inspect(
    checkpoint: Annotated[Path, typer.Argument(help="a saved directory", show_default=False)],
    base: _Base = None,
    kind: _Kind = None,
    left_out: _LeftOut = None,
    hashes: _Hashes = False,
    repair: _Repair = False,
    out: _Out = None,
    in_place: _InPlace = False,
    with_vision_from: _Vision = None,
    with_: _With = None,
    as_json: AsJson = False,
) -> int:
    """Judge a saved directory without loading it: its files, tensors and tokens, held against its base or itself."""
    from harness.cli.inspection import print_inspection, record

    _refuse_options(kind, left_out or (), out, repair, in_place)
    part = _part(with_vision_from, with_)
    _refuse(checkpoint, base, processing=kind == "processing")
    look = partial(_look, base=base, kind=kind, left_out=left_out or (), hashes=hashes)
    repaired: Repaired | None = None
    try:
        composed = _composed(checkpoint, *part, out, repair) if part else None
        seen = look(composed.directory if composed else checkpoint)
        if repair:
            repaired = _repaired(checkpoint, base, seen, out, in_place)
            seen = look(repaired.directory) if repaired else seen
    except OSError as error:
        where = str(error.filename or checkpoint)
        raise Refused(f"cannot be read: {error.strerror}", where=where, do="check its permissions") from None
    if as_json:
        print_json(record(seen, repaired, composed))
    else:
        print_inspection(seen, base, repair, repaired, composed)
    return int(bool(seen.errors))


def _look(place: Path, base: Path | None, kind: str | None, left_out: Sequence[str], hashes: bool) -> Inspection:
    from harness.checkpoint.inspecting import Meant, inspect

    meant = Meant.to_be(kind) if kind else Meant()
    return inspect(place, base, replace(meant, left_out=tuple(left_out)), hashes=hashes)


def _refuse_options(kind: str | None, left_out: Sequence[str], out: Path | None, repair: bool, in_place: bool) -> None:
    import re

    from harness.checkpoint.inspecting import KINDS

    if kind is not None and kind not in KINDS:
        raise Refused(f"no kind of save {kind!r}", do=f"name one of {', '.join(KINDS)}")
    for pattern in left_out:
        try:
            re.compile(pattern)
        except re.error as error:
            raise Refused(f"--left-out {pattern!r} is no regular expression: {error}") from None
    if in_place and (out is not None or not repair):
        raise Refused("--in-place is for --repair, and takes no --out", do="choose one of the two")


def _part(with_vision_from: Path | None, with_: str | None) -> tuple[str, Path] | None:
    """The component and the directory that it comes from."""
    from harness.checkpoint.composing import COMPONENTS

    if with_vision_from is not None and with_ is not None:
        raise Refused("--with-vision-from is --with vision=DIR", do="give one of the two, and compose twice")
    if with_ is None:
        return None if with_vision_from is None else ("vision", with_vision_from)
    component, _, place = with_.partition("=")
    if component not in COMPONENTS or not place:
        raise Refused(f"--with {with_} names no component and directory", do=f"{'|'.join(COMPONENTS)}=DIR")
    return component, Path(place)


def _refuse(checkpoint: Path, base: Path | None, *, processing: bool) -> None:
    """Refuse what cannot be looked at: it ends in one line, whatever else might be said."""
    from harness.checkpoint.json_files import damaged_json
    from harness.checkpoint.problems import About, file_problems

    if base is not None and not base.is_dir():
        raise Refused("no such directory", where=str(base), do="name the base directory with --base")
    if not checkpoint.is_dir():
        raise Refused("no such directory", where=str(checkpoint), do="name a saved directory")
    nothing = [str(problem) for about, problem in file_problems(checkpoint) if about is About.NOTHING]
    if nothing and not processing:
        raise Refused("; ".join(nothing))
    if base is None:
        return
    if base.samefile(checkpoint):
        raise Refused("is the checkpoint itself", where=str(base), do="name the directory that it was trained from")
    for damaged in damaged_json(base):
        raise damaged


def _composed(checkpoint: Path, component: str, tuned: Path, out: Path | None, repair: bool) -> Composed:
    from harness.checkpoint.composing import compose

    if repair:
        raise Refused("--repair and --with-vision-from write two copies", do="compose first, and repair the result")
    if not tuned.is_dir():
        raise Refused("no such directory", where=str(tuned), do="name the directory of a tuned save")
    return compose(checkpoint, tuned, component, _place(checkpoint, out, "composed"))


def _repaired(
    checkpoint: Path, base: Path | None, seen: Inspection, out: Path | None, in_place: bool
) -> Repaired | None:
    """The completed copy; None where there is nothing that could be copied or written."""
    from harness.checkpoint.inspecting.findings import AdapterMisfit, OtherModel
    from harness.checkpoint.repair import can_be_repaired, repaired_copy, repaired_in_place

    if any(name == "inspect.readable" for name, _ in seen.findings):
        return None
    other = any(isinstance(finding, (OtherModel, AdapterMisfit)) for _, finding in seen.findings)
    own_base = None if other else base  # what another model's base has would mend nothing
    if not can_be_repaired(checkpoint, own_base):
        if base is None:
            what = "--repair copies from a base directory, and no index of shards is missing"
            raise Refused(what, do="name the base with --base DIR")
        return None
    if in_place:
        return repaired_in_place(checkpoint, own_base)
    return repaired_copy(checkpoint, own_base, _place(checkpoint, out, "repaired"))


def _place(checkpoint: Path, out: Path | None, ending: str) -> Path:
    place = (out or checkpoint.absolute().with_name(f"{checkpoint.absolute().name}-{ending}")).absolute()
    if checkpoint.resolve() in place.resolve().parents:
        raise Refused("lies in the checkpoint itself", where=str(place), do="name another place with --out")
    return out or _as_named(checkpoint, place)


def _as_named(checkpoint: Path, place: Path) -> Path:
    """The place as the user would write it."""
    return place if checkpoint.is_absolute() or not checkpoint.name else checkpoint.with_name(place.name)
