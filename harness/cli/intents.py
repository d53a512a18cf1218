"""`harness intent`: an intent file drafted from a good run, or read off a command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.shown import AsJson, print_json
from harness.refusal import Refused
from harness.trace.atomic import write_atomically


def intent(
    trace: Annotated[Path | None, typer.Argument(help="the trace of a good run", show_default=False)] = None,
    command: Annotated[
        str | None, typer.Option("--from-command", metavar="CMD", help="a training command, to be read and not run")
    ] = None,
    system: Annotated[str | None, typer.Option(help="whose flags the command has; none: as it shows")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="the file to write; none: printed")] = None,
    as_json: AsJson = False,
) -> int:
    """Draft an intent file, from the trace of a good run or from the flags of a command."""
    if (trace is None) == (command is None):
        raise Refused("give a trace, or --from-command 'CMD'", do="as in harness intent TRACE -o intent.yaml")
    if command is None and system:
        raise Refused("--system is about the flags of a command", do="give --from-command 'CMD', or leave it out")
    return _of_command(command, system, out, as_json) if command is not None else _of_trace(trace, out, as_json)


def _of_trace(trace: Path | None, out: Path | None, as_json: bool) -> int:
    from harness.intents.drafting import draft, findings_of
    from harness.intents.writing import as_text
    from harness.trace.reader import read_trace

    assert trace is not None
    read = read_trace(trace)
    file = draft(read)
    found = findings_of(read, file)
    if as_json:
        print_json({"intent": file.model_dump(mode="json", exclude_unset=True), "findings": found})
        return 0
    before = ["What a run did, drafted by harness intent: look through it, and keep what was meant."]
    _put(as_text(file, before, [f"the run itself has a finding by this: {one}" for one in found]), out)
    for one in found:
        print(f"harness: the run itself has a finding by this draft: {one}", file=sys.stderr)
    return 0


def _of_command(command: str, system: str | None, out: Path | None, as_json: bool) -> int:
    from harness.intents.commands import read_command
    from harness.intents.writing import as_text

    read = read_command(command, system)
    if as_json:
        print_json(read.to_json())
        return 0
    _put(as_text(read.intent, read.heading, read.notes), out)
    for line in read.warnings:
        print(f"harness: {line}", file=sys.stderr)
    return 0


def _put(text: str, out: Path | None) -> None:
    if out is None:
        print(text, end="")
        return
    try:
        write_atomically(out, text)
    except OSError as error:
        raise Refused(f"cannot be written: {error.strerror}", where=str(out), do="name another file") from None
    print(f"wrote {out}")
