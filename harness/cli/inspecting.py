"""`harness inspect`: a saved directory by its files, what it lacks of its base, and giving it that."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.shown import AsJson, colour, print_columns, print_json
from harness.refusal import Refused
from harness.result import Finding

if TYPE_CHECKING:
    from harness.checkpoint.code_files import CodeFiles
    from harness.checkpoint.fit import Fit


class RoleMissing(Finding):
    """A role that some file of the base plays, and none of the save."""


class CodeDefect(Finding):
    """Code that a configuration names and that will not be imported."""


class AdapterMisfit(Finding):
    """An adapter for another model than the base."""


class OtherModel(Finding):
    """A save of another model than the base."""


@dataclass(frozen=True)
class Seen:
    """All that is shown of a directory."""

    files: list[str]
    tensors: dict[str, dict[str, Any]]
    roles: dict[str, list[str]]
    code: CodeFiles
    pickled: list[str]
    fit: Fit | None
    findings: list[tuple[str, Finding]]


def inspect(
    checkpoint: Annotated[Path, typer.Argument(help="a saved directory", show_default=False)],
    base: Annotated[Path | None, typer.Option(help="the directory that it was trained from")] = None,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="copy what it lacks from the base; never weights; write an index of its shards"),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Read a saved directory without loading it: files, tensors, what is wrong with it, what it lacks of its base."""
    from harness.checkpoint.repair import repair as repaired
    from harness.checkpoint.repair import repair_index

    indexes = repair_index(checkpoint) if repair else []
    _refuse(checkpoint, base, repair and not indexes)
    try:
        fit = _fit(checkpoint, base)
        other = [*_of_fit(checkpoint, base, fit), *_of_model(checkpoint, base)]
        # What another model's base has would mend nothing.
        own_base = None if other else base
        copied = repaired(checkpoint, own_base) if repair and own_base else []
        seen = _look(checkpoint, own_base, fit, other)
    except OSError as error:
        where = str(error.filename or checkpoint)
        raise Refused(f"cannot be read: {error.strerror}", where=where, do="check its permissions") from None
    if as_json:
        print_json({**_record(checkpoint, seen), "copied": copied, "written": indexes})
    else:
        _print(checkpoint, base, seen, copied)
        print("".join(f"{name}: written from the shards' own keys\n" for name in indexes), end="")
    return int(bool(seen.findings))


def _refuse(checkpoint: Path, base: Path | None, repair: bool) -> None:
    """Refuse what cannot be looked at: it ends in one line, whatever else might be said."""
    from harness.checkpoint.json_files import damaged_json
    from harness.checkpoint.problems import unreadable

    if repair and base is None:
        what = "--repair copies from a base directory, and no index of shards is missing"
        raise Refused(what, do="name the base with --base DIR")
    if base is not None and not base.is_dir():
        raise Refused("no such directory", where=str(base), do="name the base directory with --base")
    if problems := list(unreadable(checkpoint)):
        raise Refused("; ".join(problems))
    if base is None:
        return
    if base.samefile(checkpoint):
        raise Refused("is the checkpoint itself", where=str(base), do="name the directory that it was trained from")
    for damaged in damaged_json(base):
        raise damaged


def _look(checkpoint: Path, base: Path | None, fit: Fit | None, other: list[tuple[str, Finding]]) -> Seen:
    from harness.checkpoint.code_files import code_files
    from harness.checkpoint.inventory import file_names
    from harness.checkpoint.pickles import is_pickled
    from harness.checkpoint.roles import roles
    from harness.checkpoint.tensors import described, files_with_weights

    tensors: dict[str, dict[str, Any]] = {}
    for path in files_with_weights(checkpoint):
        tensors |= described(path)
    played = roles(checkpoint)
    code = code_files(checkpoint)
    return Seen(
        files=sorted(path.name for path in checkpoint.iterdir()),
        tensors=tensors,
        roles=played,
        code=code,
        pickled=[name for name in file_names(checkpoint) if is_pickled(checkpoint / name)],
        fit=fit,
        findings=[*other, *_missing(checkpoint, base, played, code), *_of_code(checkpoint, base, code)],
    )


def _missing(
    checkpoint: Path, base: Path | None, played: dict[str, list[str]], code: CodeFiles
) -> Iterator[tuple[str, Finding]]:
    from harness.checkpoint.missing import consequence, kind_of, missing_roles
    from harness.checkpoint.repair import obstacle
    from harness.checkpoint.roles import CODE, roles

    bases = roles(base) if base else {}
    for role in missing_roles(bases, played, kind_of(played)):
        if role == CODE and (code.missing or code.elsewhere):
            continue  # said file by file, or in a repository
        files = bases.get(role, [])
        absent = [name for name in files if not (checkpoint / name).exists()]
        seen = (
            f"{', '.join(absent)} {'is' if len(absent) == 1 else 'are'} missing"
            if absent
            else "no file plays this role"
        )
        yield (
            role,
            RoleMissing(
                expected=f"{', '.join(files)}, as in {base}" if files else f"a file with the {role}",
                seen=f"{consequence(role, checkpoint, played)}: {seen}",
                where=str(checkpoint),
                do=(obstacle(role, checkpoint, base) or _repair_command(checkpoint, base)) if base else "save it again",
            ),
        )


def _of_code(checkpoint: Path, base: Path | None, code: CodeFiles) -> Iterator[tuple[str, Finding]]:
    absent = {str(checkpoint / name): name for name in code.missing}
    for problem in code.problems:
        do = problem.do
        if base and problem.where in absent:
            there = (base / absent[problem.where]).is_file()
            do = _repair_command(checkpoint, base) if there else f"fetch it where {base} came from: it lacks it too"
        yield (
            "code",
            CodeDefect(
                expected="every class that auto_map names can be imported",
                seen=problem.what,
                where=problem.where,
                do=do,
            ),
        )


def _fit(checkpoint: Path, base: Path | None) -> Fit | None:
    from harness.checkpoint.fit import adapter_fit
    from harness.checkpoint.module_tree import module_tree
    from harness.checkpoint.roles import ADAPTER_CONFIGURATION, ADAPTER_WEIGHTS, roles

    if base is None or not {ADAPTER_CONFIGURATION, ADAPTER_WEIGHTS} <= set(roles(checkpoint)):
        return None
    tree = module_tree(base)
    if tree is None:
        return adapter_fit(checkpoint, base=base)
    return adapter_fit(checkpoint, tree.paths, base=base, shapes=tree.shapes)


def _of_fit(checkpoint: Path, base: Path | None, fit: Fit | None) -> Iterator[tuple[str, Finding]]:
    if fit is None or fit.fits:
        return
    yield (
        "adapter",
        AdapterMisfit(
            expected=f"an adapter whose modules are in {base}",
            seen=fit.diagnosis,
            where=str(checkpoint),
            do="load it on the model that it was made on, or train one on this base",
        ),
    )


def _of_model(checkpoint: Path, base: Path | None) -> Iterator[tuple[str, Finding]]:
    from harness.checkpoint.json_files import CONFIG, entries

    if base is None:
        return
    trained, started = (entries(place / CONFIG).get("model_type") for place in (checkpoint, base))
    if trained and started and trained != started:
        yield (
            "base",
            OtherModel(
                expected=f"a model of type {started}, as in {base}",
                seen=f"one of type {trained}",
                where=str(checkpoint / CONFIG),
                do="name the directory that it was trained from with --base",
            ),
        )


def _repair_command(checkpoint: Path, base: Path) -> str:
    return f"harness inspect {shlex.quote(str(checkpoint))} --base {shlex.quote(str(base))} --repair"


def _record(checkpoint: Path, seen: Seen) -> dict[str, Any]:
    return {
        "files": seen.files,
        "tensors": seen.tensors,
        "roles": seen.roles,
        "code": {"named": list(seen.code.named), "missing": list(seen.code.missing)},
        "pickled": seen.pickled,
        "adapter": asdict(seen.fit) if seen.fit else None,
        "findings": [{"about": about, **finding.to_json()} for about, finding in seen.findings],
    }


def _print(checkpoint: Path, base: Path | None, seen: Seen, copied: list[str]) -> None:
    from harness.report import failure_block
    from harness.report.text import plural
    from harness.result import Result, Status

    if base is None:
        tensors = sorted(seen.tensors.items())
        print_columns([[key, str(facts["shape"]), facts["dtype"], facts["file"]] for key, facts in tensors])
    else:  # what plays a role is compared, and hundreds of tensors would hide it
        print_columns([[role, ", ".join(files)] for role, files in seen.roles.items()])
    if known := list(_known(seen)):
        print_columns(known)
    if copied:
        print_columns([[name, f"copied from {base}"] for name in copied])
    for about, finding in seen.findings:
        result = Result(str(checkpoint), about, Status.FAILED, findings=(finding,))
        print(f"\n{failure_block(result, colour=colour())}")
    if seen.findings:
        print()
    if seen.fit and seen.fit.fits:
        vain = f"; {', '.join(seen.fit.unmet)} among its targets meets nothing there" if seen.fit.unmet else ""
        print(f"the adapter fits {base}, by its {seen.fit.names}{vain}")
    files = {facts["file"] for facts in seen.tensors.values()}
    wrong = f", {plural(len(seen.findings), 'problem')}" if seen.findings else ""
    print(f"{len(seen.tensors)} tensors in {len(files)} files{wrong}")


def _known(seen: Seen) -> Iterator[list[str]]:
    """Files that are nobody's business but to be known: a trainer's own, and pickles."""
    trainers = seen.roles.get("trainer", [])
    read = {facts["file"] for facts in seen.tensors.values()}
    for name in sorted({*trainers, *seen.pickled}):
        words = ["the trainer's own"] if name in trainers else []
        if name in seen.pickled:
            words.append("a pickle, of which only the tensors were read" if name in read else "a pickle, never loaded")
        yield [name, ", ".join(words)]
