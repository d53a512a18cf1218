"""Ending a script after so many steps, as it would end itself: by an exception that is no error."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

PATIENCE = 3  # times that a script may catch it and go on


class EnoughSteps(SystemExit):
    """The script has made as many optimizer steps as were asked for. What it has to put away, it puts away; its exit
    status is 0."""

    swallowed = 0

    def __init__(self, steps: int) -> None:
        super().__init__(0)
        self.steps = steps


def ended(steps: int) -> SystemExit:
    """The end after so many steps. Another thread than the main one ends without a word by SystemExit itself alone."""
    return EnoughSteps(steps) if threading.current_thread() is threading.main_thread() else SystemExit(0)


def end_of(recorder: Any) -> SystemExit:
    """The same again, for a script that caught it and went on. Raises nothing by itself; leaves the process when it
    was caught too often."""
    EnoughSteps.swallowed += 1
    if EnoughSteps.swallowed >= PATIENCE:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (AttributeError, OSError, ValueError):
                continue
        os._exit(0)
    return ended(recorder.options.steps)
