"""How much of this process lies in memory, libraries and all, in pages: what torch did not allocate is in it too."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

_STATUS, _FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def most() -> int:
    """The most bytes since the process began, or since the system was told to forget; 0 where it does not say."""
    if (told := _told("VmHWM:")) is not None:
        return told
    with contextlib.suppress(ImportError):
        import resource

        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return int(largest) if sys.platform == "darwin" else int(largest) * 1024
    return 0


def forget_most() -> int | None:
    """Have the system forget what was the most, and give the bytes there are now; None where it cannot forget."""
    try:
        _FORGET.write_text("5", encoding="ascii")
    except OSError:
        return None
    return _told("VmRSS:")


def _told(name: str) -> int | None:
    """A figure of Linux's status of a process, in bytes."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024
    return None
