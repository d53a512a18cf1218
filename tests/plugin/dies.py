"""A pytest plugin for sessions under test: the process is killed as soon as it has printed its first recipe."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from harness.pytest_session import Progress

_print = Progress._print


def printed_and_killed(self: Any, nodes: Any) -> None:
    _print(self, nodes)
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


Progress._print = printed_and_killed  # type: ignore[method-assign]
