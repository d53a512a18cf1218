"""Layer 1. Runs a job (a function by name, with a JSON argument) in a process of its own, imports already paid for."""

from harness.launch.client import Ended, Launcher
from harness.launch.job import Job
from harness.launch.output import last_lines
from harness.launch.parents import WarmParent, can_fork
from harness.launch.together import run_together

__all__ = ["Ended", "Job", "Launcher", "WarmParent", "can_fork", "last_lines", "run_together"]
