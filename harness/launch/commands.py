"""The commands by which people start the processes of a run, on one machine, each as it is typed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.launch.client import Ended, kill
from harness.launch.job import Job
from harness.launch.parents import job_environment
from harness.own_code import folders

RANKED = "harness.launch.ranked"
NO_SAY = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
SECONDS_TO_END = 5.0  # which a command that is told to end has for ending what it has started


@dataclass(frozen=True)
class Asked:
    """What a command is asked for: how many processes, at which port of this machine (none: a free one), and the
    hostfile, if one is to be read."""

    processes: int
    port: int | None = None
    hostfile: str | None = None


def torchrun(asked: Asked) -> list[str]:
    """torch's launcher. Without a port it finds a free one."""
    where = ["--standalone"] if asked.port is None else ["--master_addr", "127.0.0.1", "--master_port", str(asked.port)]
    return [
        "-m",
        "torch.distributed.run",
        "--nnodes",
        "1",
        "--nproc_per_node",
        str(asked.processes),
        *where,
        "-m",
        RANKED,
    ]


def accelerate(asked: Asked) -> list[str]:
    """Accelerate's launcher, told all that it would else ask for or find out by itself."""
    where = [] if asked.port is None else ["--main_process_port", str(asked.port)]
    options = ["--cpu", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    many = ["--num_processes", str(asked.processes)]
    return ["-m", "accelerate.commands.launch", *options, *many, *where, "-m", RANKED]


def deepspeed(asked: Asked) -> list[str]:
    """DeepSpeed's launcher on this machine alone: a hostfile that lies about is not read."""
    where = [] if asked.port is None else ["--master_port", str(asked.port)]
    here = ["--hostfile", asked.hostfile or os.devnull, "--num_gpus", str(asked.processes)]
    return ["-m", "deepspeed.launcher.runner", *here, *where, "--module", RANKED]


COMMANDS: dict[str, Callable[[Asked], list[str]]] = {
    "torchrun": torchrun,
    "accelerate": accelerate,
    "deepspeed": deepspeed,
}


def run_by(name: str, job: Job, asked: Asked, environment: dict[str, str]) -> Ended:
    """Start the job by a command as it is asked, and wait for its end. What the command says goes to the job's
    output, with `.launcher` for its ending; each process has an output of its own."""
    job = replace(job, folders=folders())
    file = Path(job.output).with_suffix(".job.json")
    file.write_bytes(job.to_line())
    with launcher_output(job).open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *COMMANDS[name](asked), str(file)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(environment),
            start_new_session=True,
        )
        try:
            process.wait(timeout=job.seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            return Ended(process.returncode, timed_out=job.seconds)
        except BaseException:
            _end(process)
            raise
        finally:
            file.unlink(missing_ok=True)
    return Ended(process.returncode)


def launcher_output(job: Job) -> Path:
    """Where a command's own words go."""
    return Path(job.output).with_suffix(".launcher.txt")


def _environment(extra: dict[str, str]) -> dict[str, str]:
    """That of every process of ours, without what an outer launcher has said about itself."""
    return {name: value for name, value in job_environment(extra).items() if name not in NO_SAY}


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a command to end what it has started, then end it."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        kill(process)
