"""Runs a command as it is: its arguments, directory, input and output, and the signals it gets are its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.recording.scripts.options import VARIABLE, Options
from harness.refusal import Refused
from harness.wording import count

SITE = Path(__file__).parent / "site"
TICK = 0.1
PASSED_ON: tuple[int, ...] = (signal.SIGTERM, signal.SIGHUP) if hasattr(signal, "SIGHUP") else (signal.SIGTERM,)


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status as a shell would say it, and in words."""

    status: int
    seconds: float

    @property
    def told(self) -> str:
        if self.status > 128:
            number = self.status - 128
            known = {one.value: one.name for one in signal.Signals}
            return f"killed by {known.get(number, f'signal {number}')}"
        return f"exit status {self.status}"


def environment_of(options: Options) -> dict[str, str]:
    """The environment with our directory first on PYTHONPATH, and what the recorder is asked for."""
    path = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": str(SITE) + (os.pathsep + path if path else ""),
        VARIABLE: options.encoded(),
    }


def launch(command: Sequence[str], options: Options, tick: Callable[[], None] = lambda: None) -> Ended:
    """Run a command to its end. Raises Refused for one that cannot be started."""
    begun = time.monotonic()
    try:
        process = subprocess.Popen(list(command), env=environment_of(options))
    except OSError as error:
        raise Refused(
            f"cannot be started: {error.strerror}", where=command[0], do="write the command as in a shell"
        ) from None
    with _passing_on(process):
        while True:
            try:
                code = process.wait(TICK)
                break
            except subprocess.TimeoutExpired:
                tick()
            except KeyboardInterrupt:  # the terminal has told the command too, and it ends in its own way
                continue
    return Ended(128 - code if code < 0 else code, time.monotonic() - begun)


@contextlib.contextmanager
def _passing_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """What somebody sends to the harness is meant for the command."""
    before: dict[int, Any] = {}
    with contextlib.suppress(ValueError):  # not the main thread
        for number in PASSED_ON:
            before[number] = signal.signal(number, lambda got, _: process.send_signal(got))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def live_line(out: Path, every: float = 10.0) -> Callable[[], None]:
    """What says from time to time on a terminal how many steps were recorded; nothing where there is none."""
    if not sys.stderr.isatty():
        return lambda: None
    state = {"at": time.monotonic(), "size": 0}

    def tick() -> None:
        if time.monotonic() - state["at"] < every:
            return
        state["at"] = time.monotonic()
        streams = sorted(out.glob("trace*/rank-0/events.jsonl"))
        size = sum(stream.stat().st_size for stream in streams)
        if size != state["size"]:
            state["size"] = size
            steps = sum(line.startswith('{"kind":"optimizer_step"') for path in streams for line in path.open())
            print(f"harness: {count(steps, 'optimizer step')} recorded", file=sys.stderr, flush=True)

    return tick
