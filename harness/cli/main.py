"""The command `harness`.

Exit status: 0 nothing failed and nothing was blocked; 1 something did; 2 wrong usage or an unreadable file, in one
line; 3 the harness itself broke; 130 interrupted.
"""

from __future__ import annotations

import os
import sys

import typer

from harness.cli import (
    budgeting,
    comparing,
    compat,
    facts,
    files,
    golden,
    golden_stacks,
    history,
    inspecting,
    intents,
    judging,
    running,
    tracing,
)
from harness.refusal import Refused

app = typer.Typer(
    help="Compares what a vision-language fine-tune was asked to do with what it did.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(running.run)
app.command("faults")(running.faults)
app.command("trace", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})(tracing.trace)
app.command("check")(judging.check)
app.command("intent")(intents.intent)
app.command("compare")(comparing.compare)
app.command("budget")(budgeting.budget)
app.command("compat")(compat.compat)
app.command("report")(judging.report)
app.command("plan")(facts.plan)
app.command("schema")(facts.schema)
app.command("list")(facts.list_things)
app.command("tiny")(files.tiny)
app.command("data")(files.data)
app.command("inspect")(inspecting.inspect)
app.command("history")(history.history)
golden.app.command("stacks")(golden_stacks.stacks)
app.add_typer(golden.app, name="golden")

WRONG_USAGE, BROKEN, INTERRUPTED = 2, 3, 130


def main() -> None:
    """Run the command line and exit with its status."""
    status = status_of(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has seen enough; Python would complain of it once more as it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def status_of(arguments: list[str]) -> int:
    """Run one command and return its exit status."""
    try:
        status = app(arguments or ["--help"], prog_name="harness", standalone_mode=False)
        if status == INTERRUPTED:  # which Typer keeps to itself
            print("harness: interrupted", file=sys.stderr)
        return status if isinstance(status, int) else 0
    except Refused as refused:
        print(f"harness: {refused}", file=sys.stderr)
        return WRONG_USAGE
    except KeyboardInterrupt:
        print("harness: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    except Exception as error:
        return _shown(error)


def _shown(error: Exception) -> int:
    """Typer's own errors (they know how to say themselves) are wrong usage; anything else is the harness's fault."""
    say = getattr(error, "format_message", None)
    if say is not None:
        command = getattr(getattr(error, "ctx", None), "command_path", "harness")
        print(f"harness: {' '.join(say().split()).rstrip('.')}; see {command} --help", file=sys.stderr)
        return WRONG_USAGE
    if type(error).__name__ == "Abort":  # what Typer makes of an interruption
        print("harness: interrupted", file=sys.stderr)
        return INTERRUPTED
    import traceback

    traceback.print_exc()
    print("harness: this is a defect of the harness, please report it with the lines above", file=sys.stderr)
    return BROKEN
