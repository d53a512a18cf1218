"""stacks.yaml: by name, which version of which library. A version more is a line more."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import ValidationError, field_validator

from harness.frozen import Frozen
from harness.recipe.yaml_file import read_yaml
from harness.refusal import Refused

STACKS = "stacks.yaml"  # lies beside suites, and is none
ALIKE = ("torch", "torchvision", "torchaudio")  # under all stacks: they are what a layer is laid over
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_DO = "write a line like '4.57': {transformers: 4.57.6, peft: 0.17.1} under stacks:"


class AskedStack(Frozen):
    """A stack as the file has it: its name, and versions by distribution. What it does not name is as installed.

    `brings` are what a layer may hold though it is alike under all stacks, `without` what is asked for and left out:
    both for whole trainers, whose requirements are their own, and in no file of stacks.
    """

    name: str
    versions: Mapping[str, str]
    brings: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def requirements(self) -> tuple[str, ...]:
        return tuple(f"{name}=={version}" for name, version in sorted(self.versions.items()))


class _File(Frozen):
    description: str = ""
    stacks: dict[str, dict[str, str]]

    @field_validator("stacks", mode="before")
    @classmethod
    def _can_be(cls, stacks: Any) -> Any:
        if not isinstance(stacks, dict) or not stacks:
            raise ValueError(f"holds no stacks; {_DO}")
        for name, versions in stacks.items():
            _refuse_name(name)
            if not isinstance(versions, dict) or not versions:
                raise ValueError(f"stack {name} names no versions; {_DO}")
            for library, version in versions.items():
                _refuse_version(name, library, version)
        return stacks


def read_stacks(path: Path) -> tuple[AskedStack, ...]:
    """The stacks of a file, in its order. Raises Refused, in one line, for a file that has none."""
    content = read_yaml(path, "stacks")
    try:
        file = _File.model_validate(content if isinstance(content, dict) else {"stacks": content})
    except ValidationError as error:
        first = error.errors()[0]
        what, _, do = first["msg"].removeprefix("Value error, ").partition("; ")
        if first["type"] == "extra_forbidden":
            what = f"unknown entry {first['loc'][0]!r}"
        elif first["type"] == "missing":
            what = "holds no stacks"
        raise Refused(what, where=str(path), do=do or _DO) from None
    return tuple(
        AskedStack(name=name, versions={canonicalize_name(library): str(v) for library, v in versions.items()})
        for name, versions in file.stacks.items()
    )


def _refuse_name(name: object) -> None:
    if not isinstance(name, str):
        raise ValueError(f"the name {name!r} is a number; quote it, for 4.10 and 4.1 are one number")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a stack; use letters, digits, dots, dashes")


def _refuse_version(stack: str, library: object, version: object) -> None:
    if not isinstance(library, str) or not _DISTRIBUTION.fullmatch(library):
        raise ValueError(f"stack {stack}: {library!r} is no name of a distribution; {_DO}")
    if canonicalize_name(library) in ALIKE:
        raise ValueError(f"stack {stack}: {library} is the installed one under every stack; take it out")
    if not isinstance(version, str):
        raise ValueError(f"stack {stack}: {library}: {version!r} is a number; quote the version")
    try:
        Version(version)
    except InvalidVersion:
        raise ValueError(f"stack {stack}: {library}: {version!r} is no version; name one, like 4.57.6") from None
