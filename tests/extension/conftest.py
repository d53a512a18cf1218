"""Sessions of the installed command on suites that bring code of their own."""

from __future__ import annotations

from tests.cli.conftest import call, environment, run_harness, script, train

__all__ = ["call", "environment", "run_harness", "script", "train"]
