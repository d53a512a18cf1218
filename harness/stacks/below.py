"""The environment that layers are laid over: that of this process."""

from __future__ import annotations

import functools
import platform
import sysconfig
from collections.abc import Mapping
from importlib import metadata

from packaging.utils import canonicalize_name

from harness import stack
from harness.stacks.file import ALIKE

# Asked for beside what a stack names, in any version: an installed one that does not go with it is replaced, too.
ALONG = ("accelerate", "peft", "safetensors", "transformers")


@functools.cache
def installed() -> Mapping[str, str]:
    """The version of every distribution that this process could import; of two the one that comes first."""
    found: dict[str, str] = {}
    for one in metadata.distributions():
        if name := one.metadata["Name"]:
            found.setdefault(canonicalize_name(name), one.version)
    return dict(sorted(found.items()))


def platform_tag() -> str:
    """What a compiled package is for."""
    return f"{platform.python_implementation()} {platform.python_version()} {sysconfig.get_platform()}"


def constraints() -> tuple[str, ...]:
    """What a layer must leave as it is."""
    return tuple(f"{name}=={installed()[name]}" for name in ALIKE if name in installed())


def along(versions: Mapping[str, str]) -> tuple[str, ...]:
    """The installed libraries that a stack does not name, and that must go with what it names."""
    return tuple(name for name in ALONG if name in installed() and name not in versions)


def in_force(laid_over: Mapping[str, str]) -> dict[str, str]:
    """The versions of the libraries that can change a trace, with a layer on top."""
    names = {canonicalize_name(name): name for name in stack.LIBRARIES}
    return {name: found for key, name in names.items() if (found := laid_over.get(key) or installed().get(key))}
