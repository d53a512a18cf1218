"""Layers: built whole or not at all, kept by what is in them, shared by all stacks that need the same."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name
from pydantic import ValidationError

from harness.refusal import Refused
from harness.stacks.below import in_force, platform_tag
from harness.stacks.cache import alone, cache_folder, digest_of
from harness.stacks.file import AskedStack
from harness.stacks.processes import Processes, in_parallel
from harness.stacks.releases import releases
from harness.stacks.resolution import PIP, Package, Resolution, resolved, said
from harness.trace.atomic import write_atomically

WHOLE = ".layer.json"  # in a layer: the packages that it holds
_SHOWN = 3


@dataclass(frozen=True)
class Layered:
    """A stack that is there: its name, what was asked, the folder to lay over (none: all is as installed), and the
    versions in force."""

    name: str
    asked: dict[str, str]
    folder: Path | None
    versions: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """What a process must have in its environment to be under this stack."""
        if self.folder is None:
            return {}
        above = os.environ.get("PYTHONPATH")
        return {"PYTHONPATH": os.pathsep.join([str(self.folder), *([above] if above else [])])}


@dataclass
class Layers:
    """Makes stacks be there. `say` is told what takes time."""

    cache: Path = field(default_factory=cache_folder)
    say: Callable[[str], None] = lambda line: None
    processes: Processes = field(default_factory=Processes)

    def all(self, asked: Sequence[AskedStack], workers: int = 2) -> list[Layered]:
        """The stacks, in the order in which they were asked for. Raises Refused for one that cannot be had."""
        found = {one.name: one for one in in_parallel(self._jobs(asked), workers, self.processes.stop)}
        return [found[one.name] for one in asked]

    def _jobs(self, asked: Iterable[AskedStack]) -> Iterator[Callable[[], Layered]]:
        return (partial(self.one, each) for each in asked)

    def one(self, asked: AskedStack) -> Layered:
        """One stack, from the cache or built now."""
        packages = resolved(asked, self.cache, self.processes).packages
        versions = in_force({package.name: package.version for package in packages})
        if not packages:
            self.say(f"stack {asked.name}: as installed")
            return Layered(asked.name, dict(asked.versions), None, versions)
        name = digest_of([platform_tag(), [package.model_dump() for package in packages]])
        folder = self.cache / "layers" / name
        with alone(self.cache, name):
            if is_whole(folder, packages):
                self.say(f"stack {asked.name}: in the cache")
            else:
                self._build(asked, folder, packages)
        return Layered(asked.name, dict(asked.versions), folder, versions)

    def releases(self, library: str) -> tuple[str, ...]:
        """The released versions of a library, oldest first."""
        return releases(library, self.cache, self.processes)

    def _build(self, asked: AskedStack, folder: Path, packages: Sequence[Package]) -> None:
        """Install into a folder beside, and give that its name when it is whole."""
        started = time.perf_counter()
        self.say(f"stack {asked.name}: installing {_some(packages)}")
        partial_folder = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
        for left in (
            *folder.parent.glob(f".{folder.name}.*.partial"),
            folder,
        ):  # of a killed build; altered by somebody
            shutil.rmtree(left, ignore_errors=True)
        partial_folder.mkdir(parents=True)
        try:
            wanted = partial_folder / ".requirements.txt"
            wanted.write_text("".join(f"{one.requirement}\n" for one in packages), encoding="utf-8")
            options = ["--quiet", "--no-deps", "--no-compile", "--no-warn-conflicts", "--target", str(partial_folder)]
            ended = self.processes.run([*PIP, "install", *options, "--requirement", str(wanted)])
            if ended.returncode != 0:
                what = f"cannot be installed: {said(ended.stderr.splitlines())}"
                raise Refused(what, where=f"stack {asked.name}", do="look at the versions and at the room on the disk")
            write_atomically(partial_folder / WHOLE, Resolution(packages=tuple(packages)).model_dump_json() + "\n")
            partial_folder.rename(folder)
        finally:
            shutil.rmtree(partial_folder, ignore_errors=True)
        self.say(f"stack {asked.name}: installed in {time.perf_counter() - started:.0f} s")


def is_whole(folder: Path, packages: Sequence[Package]) -> bool:
    """Whether a layer is there, and holds the packages that it should."""
    try:
        written = Resolution.model_validate_json((folder / WHOLE).read_bytes()).packages
    except (OSError, ValidationError):
        return False
    there = {
        (canonicalize_name(one.metadata["Name"]), one.version) for one in metadata.distributions(path=[str(folder)])
    }
    return written == tuple(packages) and all((one.name, one.version) in there for one in packages)


def _some(packages: Sequence[Package]) -> str:
    shown = [f"{one.name} {one.version}" for one in packages]
    first = sorted(shown, key=lambda text: not text.startswith(("transformers ", "peft ", "accelerate ")))[:_SHOWN]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(first) + more
