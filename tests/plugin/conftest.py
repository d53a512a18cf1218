"""Sessions of plain pytest on suites, in processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
WITHOUT_OTHERS = "-p no:hypothesispytest -p no:anyio"  # they take longer to start than all the rest
PLAIN = ("-c", os.devnull, "--rootdir=.", "-p", "no:cacheprovider")


@dataclass(frozen=True)
class Ran:
    """A session that has ended: where its results went, its exit status, and what it said."""

    results: Path
    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    @property
    def outcomes(self) -> dict[str, str]:
        """Node id to outcome, as -v prints them beside the per cent done, with -n or without."""
        lines = [line.split() for line in self.out.splitlines() if "%]" in line and ".yaml::" in line]
        return {
            next(word for word in line if ".yaml::" in word): next(word for word in line if word in OUTCOMES)
            for line in lines
        }


OUTCOMES = ("PASSED", "FAILED", "SKIPPED", "XFAIL", "XPASS", "ERROR")


def clean_environment() -> dict[str, str]:
    """Without what the pytest around this one has put there, and able to find the helper plugins."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    path = os.pathsep.join(filter(None, (str(HERE), kept.get("PYTHONPATH"))))
    return {**kept, "PYTHONPATH": path, "COLUMNS": "300", "PYTEST_ADDOPTS": WITHOUT_OTHERS}


@pytest.fixture(scope="session")
def run_pytest() -> Callable[..., Ran]:
    """Run plain pytest in a folder, without the configuration of any folder around it."""

    def run(*arguments: str, folder: Path, out: Path | None = None, **environment: str) -> Ran:
        out = out or folder / "harness-out"
        command = [sys.executable, "-m", "pytest", *PLAIN, f"--harness-out={out}", *arguments]
        done = subprocess.run(
            command,
            cwd=folder,
            env={**clean_environment(), **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Ran(out, done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def sharing(warm: Any) -> dict[str, str]:
    """The environment in which a session uses the tests' warm parents."""
    return {
        "PYTEST_PLUGINS": "shared_parents",
        "SHARED_MAKERS": warm.makers or "",
        "SHARED_RELOADERS": warm.reloaders or "",
    }


@pytest.fixture(scope="session")
def train(run_pytest: Callable[..., Ran], sharing: dict[str, str]) -> Callable[..., Ran]:
    """The same for sessions that train: they share warm parents. `plugins` are modules beside this file."""

    def run(*arguments: str, folder: Path, out: Path | None = None, plugins: Sequence[str] = ()) -> Ran:
        named = ",".join((sharing["PYTEST_PLUGINS"], *plugins))
        return run_pytest(*arguments, folder=folder, out=out, **{**sharing, "PYTEST_PLUGINS": named})

    return run


@pytest.fixture(scope="session")
def run_harness(sharing: dict[str, str]) -> Callable[..., Ran]:
    """Run the console script that is installed beside this interpreter; its sessions share warm parents."""
    script = shutil.which("harness", path=str(Path(sys.executable).parent))

    def run(*arguments: str, folder: Path) -> Ran:
        assert script, "the console script is not installed"
        environment = {**clean_environment(), **sharing}
        done = subprocess.run(
            [script, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Ran(folder / "harness-out", done.returncode, done.stdout, done.stderr)

    return run
