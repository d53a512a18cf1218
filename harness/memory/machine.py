"""The machine that a plan is held against."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.refusal import Refused

GIB = 2**30


@dataclass(frozen=True)
class Machine:
    """One host with so many GPUs; memory in bytes. Without the host's memory, it is shown and not judged."""

    gpus: int
    gpu_bytes: int
    host_bytes: int | None = None


def machine_from(text: str, host: float | None = None) -> Machine:
    """Read `4x24`: four GPUs of 24 GiB. Raises Refused for anything else."""
    found = re.fullmatch(r"(\d+)[xX](\d+(?:\.\d+)?)", text)
    if not found or not int(found[1]) or not float(found[2]):
        raise Refused(f"--gpus {text}: no such machine", do="write how many and of how many GB, as in 4x24")
    if host is not None and host <= 0:
        raise Refused(f"--host {host:g}: no memory", do="give the host's memory in GB")
    return Machine(int(found[1]), int(float(found[2]) * GIB), None if host is None else int(host * GIB))
