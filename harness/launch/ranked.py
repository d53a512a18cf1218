"""One process of a run that a command has started, such as torchrun: it does the job whose file it is given.

torchrun --nproc_per_node 2 -m harness.launch.ranked JOB.json
"""

from __future__ import annotations

import contextlib
import signal
import sys
from dataclasses import replace
from pathlib import Path

from harness.launch.job import Job, perform
from harness.launch.rendezvous import output_of, rank_of

PR_SET_PDEATHSIG = 1


def main(path: str) -> int:
    """Perform the job of a file as the process that the environment says this is."""
    _end_with_parent()
    job = Job.from_line(Path(path).read_bytes())
    return perform(replace(job, output=output_of(job.output, rank_of().number)))


def _end_with_parent() -> None:
    """Be killed when the command is: one that is killed itself cannot end what it has started."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1]))  # DeepSpeed's launcher says the local rank before it
