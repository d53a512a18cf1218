"""Runs many scripts, each in a process forked off one that has imported torch and computed nothing.

A script is attached to as `harness trace` attaches to it, with the import of torch left out. It is given its directory,
and what it prints goes to a file there.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any

import torch._dynamo  # noqa: F401 (which an optimizer imports otherwise, in each process anew)

from harness.recording.scripts import Options, attach


def run(job: dict[str, Any]) -> None:
    """One script, in the process that was forked off for it."""
    place = Path(job["directory"])
    place.mkdir(parents=True, exist_ok=True)
    os.chdir(place)
    out = os.open("printed.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    script = Path(job["script"])
    sys.argv = [str(script), *job.get("arguments", ())]
    sys.path.insert(0, str(script.parent))
    recorder = (
        attach(Options(str(place / "out"), **{"last_look": True, **job.get("options", {})})) if job["traced"] else None
    )
    status = 0
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as left:
        status = int(left.code or 0)
    except BaseException as error:
        traceback.print_exc()
        if recorder is not None:
            recorder.failed(error)
        status = 1
    if recorder is not None:
        recorder.finish()
        recorder.stream.close()
    if not sys.stdout.closed:
        sys.stdout.flush()
    os._exit(status)


def main() -> None:
    jobs = json.loads(sys.stdin.read())
    statuses = []
    for job in jobs:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            try:
                run(job)
            finally:
                os._exit(70)
        _, code = os.waitpid(child, 0)
        statuses.append(os.waitstatus_to_exitcode(code))
    print(json.dumps(statuses))


if __name__ == "__main__":
    main()
