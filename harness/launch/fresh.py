"""A fresh interpreter for one job, where fork is missing or unsafe: reads the job from standard input."""

from __future__ import annotations

import sys

from harness.launch.job import Job, perform

if __name__ == "__main__":
    sys.exit(perform(Job.from_line(sys.stdin.buffer.readline())))
