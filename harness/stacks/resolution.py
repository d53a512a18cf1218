"""Which packages a layer must hold: pip finds out, against what is installed, once for each stack and environment."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from pydantic import ValidationError

from harness.frozen import Frozen
from harness.refusal import Refused
from harness.stacks.below import along, constraints, installed, platform_tag
from harness.stacks.cache import alone, digest_of
from harness.stacks.file import ALIKE, AskedStack
from harness.stacks.processes import Processes
from harness.trace.atomic import write_atomically

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-color", "--retries", "2")
_LONGEST = 300
_NO_HELP = re.compile(r"ResolutionImpossible|for help visit|pip --version|new release of pip", re.IGNORECASE)


class Package(Frozen):
    """One package of a layer, and the digest of the file that it is installed from."""

    name: str
    version: str
    sha256: str = ""

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}" + (f" --hash=sha256:{self.sha256}" if self.sha256 else "")


class Resolution(Frozen):
    """What is laid over an environment so that a stack is there."""

    packages: tuple[Package, ...]


def resolved(asked: AskedStack, cache: Path, processes: Processes) -> Resolution:
    """The packages of a stack's layer, as they were found before if this environment has not changed since."""
    about = [asked.requirements, along(asked.versions), dict(installed()), platform_tag()]
    about += [asked.brings, asked.without] if asked.brings or asked.without else []
    name = digest_of(about)
    file = cache / "resolutions" / f"{name}.json"
    with alone(cache, name):
        if known := _read(file):
            return known
        found = Resolution(packages=packages_of(_report(asked, processes), asked))
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, found.model_dump_json(indent=1) + "\n")
        return found


def packages_of(report: Any, asked: AskedStack) -> tuple[Package, ...]:
    """What of pip's report is to be installed. Raises Refused for a report of another shape, or with torch in it."""
    try:
        found = [one for item in report["install"] if (one := _package(item)).name not in asked.without]
    except (KeyError, TypeError, AttributeError, ValidationError):
        what = "pip's report has another shape than this harness reads"
        raise Refused(what, where=f"stack {asked.name}", do="pip install --upgrade pip, or report it") from None
    for one in found:
        if one.name in ALIKE and one.name not in asked.brings:
            what = f"would bring {one.name} {one.version} in the place of {installed().get(one.name, 'none')}"
            raise Refused(what, where=f"stack {asked.name}", do="choose versions that go with the installed torch")
    return tuple(sorted(found, key=lambda one: one.name))


def _package(item: Mapping[str, Any]) -> Package:
    archive = item["download_info"].get("archive_info", {})
    digest = archive.get("hashes", {}).get("sha256", "")
    name = canonicalize_name(item["metadata"]["name"])
    return Package(name=name, version=item["metadata"]["version"], sha256=digest)


def _read(file: Path) -> Resolution | None:
    try:
        return Resolution.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):  # what is damaged is found out again
        return None


def _report(asked: AskedStack, processes: Processes) -> Any:
    with tempfile.TemporaryDirectory(prefix="harness-stack-") as folder:
        report, fixed = Path(folder) / "report.json", Path(folder) / "constraints.txt"
        fixed.write_text("\n".join(constraints()) + "\n", encoding="utf-8")
        wanted = [*asked.requirements, *along(asked.versions)]
        options = ["--dry-run", "--quiet", "--report", str(report), "--constraint", str(fixed)]
        ended = processes.run([*PIP, "install", *options, *wanted])
        if ended.returncode != 0 or not report.exists():
            what = f"{', '.join(asked.requirements)} cannot be had: {said(ended.stderr.splitlines())}"
            raise Refused(what, where=f"stack {asked.name}", do="look at the versions, and whether there is a network")
        return json.loads(report.read_bytes())


def said(lines: Sequence[str]) -> str:
    """The error that pip ended with, on one line."""
    errors = [line.partition("ERROR:")[2].strip() for line in lines if line.startswith("ERROR:")]
    told = [line for line in errors if line and not _NO_HELP.search(line)]
    last = told or [line.strip() for line in lines if line.strip()] or ["pip said nothing"]
    return last[-1][:_LONGEST].rstrip(".")
