"""Where a golden comes from: recipe, data, libraries, machine, code; and what of that is different now."""

from __future__ import annotations

import datetime
import functools
import hashlib
import os
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from harness import stack
from harness.frozen import Frozen
from harness.golden.index import INDEX, STACKS, SUFFIX, top_of
from harness.own_code import folders
from harness.recipe import Recipe
from harness.refusal import Refused

PACKAGE = Path(__file__).parent.parent
NUMERIC = ("numpy", "pillow")  # beside those that the environment of a trace names: what computes or reads pictures
# What judges, shows or starts runs, and cannot alter one.
NO_PART_OF_A_RUN = (
    "checks", "cli", "comparator", "gate", "golden", "history", "report", "face.py", "pytest_plugin.py",
    "pytest_session.py", "running/fault_table.py", "running/session.py", "store.py", "verdict.py",
)  # fmt: skip


class Provenance(Frozen):
    """All that decided a run when it was pinned. `code` has the digest of each file that takes part in a run."""

    recipe_id: str
    recipe: dict[str, Any]
    saves: str
    data: str | None
    environment: dict[str, Any]
    libraries: dict[str, str]
    code: dict[str, str]
    commit: str | None
    dirty: bool
    pinned: str


@dataclass(frozen=True)
class Change:
    """What is different from when a golden was pinned, a line each; `stack` are those differences of the environment
    that may alter bits."""

    environment: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    stack: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """Who may have caused a drift."""
        if self.environment and self.code:
            return "both environment and code changed"
        if self.environment:
            return "environment changed, code did not"
        return "code changed, environment did not" if self.code else "neither code nor environment changed"


@dataclass(frozen=True)
class Tree:
    """The state of a tree under version control: its commit, and the files that are not as committed."""

    commit: str | None
    altered: tuple[str, ...] = ()


def provenance(
    recipe_id: str, recipe: Recipe, environment: Mapping[str, Any], data: str | None, tree: Tree
) -> Provenance:
    """The provenance of a run that was just made here."""
    return Provenance(
        recipe_id=recipe_id,
        recipe=recipe.model_dump(mode="json", exclude_defaults=True),
        saves=recipe.saves,
        data=data,
        environment=dict(environment),
        libraries=libraries(),
        code=code_digests(recipe),
        commit=tree.commit,
        dirty=bool(tree.altered),
        pinned=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    )


def changes(then: Provenance, environment: Mapping[str, Any], recipe: Recipe) -> Change:
    """What is different now: the environment of a run made now, libraries, code, and the recipe, which is code too."""
    known = _without_versions(then.environment), _without_versions(environment)
    around = [f"{name}: {first} and {second}" for name, first, second in _differing(*known)]
    named = dict(then.environment.get("versions", {})), dict(environment.get("versions", {}))
    before, now = {**then.libraries, **named[0]}, {**libraries(), **named[1]}
    versions = {name: f"{name}: {first} and {second}" for name, first, second in _differing(before, now)}
    bits = [line for name, line in versions.items() if name in {*NUMERIC, *named[0], *named[1]}]
    settings = recipe.model_dump(mode="json", exclude_defaults=True)
    code = [f"recipe: {name}" for name, _, _ in _differing(then.recipe, settings)]
    code += [name for name, _, _ in _differing(then.code, code_digests(recipe))]
    return Change((*around, *versions.values()), tuple(code), (*around, *bits))


def code_digests(recipe: Recipe) -> dict[str, str]:
    """By path, a digest of each file of the harness that takes part in a run, and of the recipe's own code."""
    own = {name.partition(":")[0].partition(".")[0] for name in recipe.own_code if ":" in name}
    beside = {f"suite/{name}.py": Path(folder) / f"{name}.py" for name in sorted(own) for folder in folders()}
    return {**_package_digests(), **{name: _digest(path) for name, path in beside.items() if path.is_file()}}


@functools.cache
def _package_digests() -> dict[str, str]:
    return {path.relative_to(PACKAGE).as_posix(): _digest(path) for path in _files_of_runs()}


def _files_of_runs() -> Iterator[Path]:
    for path in sorted(PACKAGE.rglob("*")):
        parts = path.relative_to(PACKAGE).parts
        apart = {parts[0], "/".join(parts)} & {*NO_PART_OF_A_RUN}
        if path.is_file() and not apart and "__pycache__" not in parts:
            yield path


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()


@functools.cache
def libraries() -> dict[str, str]:
    """The version of every library that training needs, and of all that those need in turn."""
    found: dict[str, str] = {}
    waiting = [*stack.LIBRARIES, *NUMERIC, "jinja2"]
    while waiting:
        name = _normal(waiting.pop())
        if name in found:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        found[name] = distribution.version
        waiting += _required(distribution.requires or ())
    return dict(sorted(found.items()))


def _required(requirements: Collection[str]) -> Iterator[str]:
    """What is needed without any extra."""
    for line in requirements:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def tree_of(suite: Path, golden: Path) -> Tree:
    """The tree that holds a suite, but for the goldens in a folder; none where it is under no version control."""
    folder = suite.resolve().parent
    top = _git(folder, "rev-parse", "--show-toplevel")
    commit = _git(folder, "rev-parse", "HEAD")
    if top is None or commit is None:
        return Tree(None)
    status = _git(Path(top.strip()), "status", "--porcelain", "--untracked-files=all") or ""
    altered = [line[3:] for line in status.splitlines()]
    own = os.path.relpath(top_of(golden.resolve()), Path(top.strip()).resolve())
    return Tree(commit.strip(), tuple(name for name in altered if not _is_golden(name, own)))


def refuse_dirty(tree: Tree, suite: Path) -> None:
    """Refuse to pin what no commit holds."""
    if tree.altered:
        more = f" and {len(tree.altered) - 1} more" if len(tree.altered) > 1 else ""
        what = f"its tree differs from commit {(tree.commit or '')[:10]}: {tree.altered[0]}{more}"
        raise Refused(what, where=str(suite), do="commit first, or pin with --dirty")


def _is_golden(name: str, folder: str) -> bool:
    """Whether a path in a tree is of the goldens that lie in a folder of it, those of other stacks among them."""
    parent, _, file = name.strip('"').rpartition("/")
    others = f"{STACKS}/" if folder == "." else f"{folder}/{STACKS}/"
    held = (parent or ".") == folder or parent.startswith(others)
    return held and (file == INDEX or file.endswith(SUFFIX))


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says; None where it has nothing to say."""
    try:
        said = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return said.stdout if said.returncode == 0 else None


def _without_versions(environment: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in environment.items() if name != "versions"}


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in sorted(one.keys() | other.keys()):
        if one.get(name) != other.get(name):
            yield name, one.get(name, "none"), other.get(name, "none")
