"""Which versions of a library there are, and which of them lie in a range."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from harness.refusal import Refused
from harness.stacks.cache import alone, digest_of
from harness.stacks.processes import Processes
from harness.trace.atomic import write_atomically

KEPT_S = 24 * 3600.0
_RANGE = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<first>[^.=\s][^=\s]*?)\.\.(?P<last>[^.=\s][^=\s]*)")


@dataclass(frozen=True)
class Range:
    """Versions of a library from one to another, both included; 4.57 as the last means every 4.57."""

    library: str
    first: str
    last: str

    def __str__(self) -> str:
        return f"{self.library}=={self.first}..{self.last}"

    def versions(self, released: Sequence[str]) -> tuple[str, ...]:
        """Those of the released versions that lie in it, oldest first; no pre-releases."""
        known = sorted({Version(text) for text in released})
        return tuple(str(one) for one in known if not one.is_prerelease and self._holds(one))

    def _holds(self, version: Version) -> bool:
        last = Version(self.last).release
        return Version(self.first) <= version and version.release[: len(last)] <= last


def range_of(text: str) -> Range:
    """What `transformers==4.51..4.57` says. Raises Refused for what is none."""
    match = _RANGE.fullmatch(text.strip())
    do = "write it like transformers==4.51..4.57"
    if match is None:
        raise Refused(f"{text!r} is no range of versions", do=do)
    found = Range(canonicalize_name(match["name"]), match["first"], match["last"])
    try:
        backwards = Version(found.first) > Version(found.last) and not found._holds(Version(found.first))
    except InvalidVersion as error:
        raise Refused(f"{text!r} is no range of versions: {error}", do=do) from None
    if backwards:
        raise Refused(f"{text!r} ends before it begins", do=do)
    return found


def releases(library: str, cache: Path, processes: Processes) -> tuple[str, ...]:
    """All released versions of a library, oldest first, asked of the index at most once a day."""
    from harness.stacks.resolution import PIP, said

    name = digest_of(["releases", library])
    file = cache / "releases" / f"{name}.json"
    with alone(cache, name):
        if file.exists() and time.time() - file.stat().st_mtime < KEPT_S:
            return tuple(json.loads(file.read_bytes()))
        ended = processes.run([*PIP, "index", "versions", library])
        versions = versions_listed(ended.stdout) if ended.returncode == 0 else ()
        if not versions:
            what = f"the released versions of {library} cannot be had: {said(ended.stderr.splitlines())}"
            raise Refused(what, do="look at its name, and whether there is a network")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(versions) + "\n")
        return versions


def versions_listed(text: str) -> tuple[str, ...]:
    """The versions in what `pip index versions` prints, oldest first."""
    line = next((line for line in text.splitlines() if line.startswith("Available versions:")), "")
    return tuple(str(one) for one in sorted(Version(part) for part in line.partition(":")[2].replace(",", " ").split()))
