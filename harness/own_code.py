"""Layer 0. Code of other people that a suite names as `module:name`, or by the name it is installed under.

Modules beside the suite can be imported; they come last, so that none of them takes the place of an installed one.
"""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from harness.refusal import Refused

_folders: list[Path] = []


def let_in(folder: Path) -> None:
    """Make the modules of a folder importable, in this process and in the jobs that it starts."""
    folder = folder.resolve()
    if folder not in _folders:
        _folders.append(folder)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def folders() -> tuple[str, ...]:
    """The folders that were let in."""
    return tuple(map(str, _folders))


def is_beside_a_suite(module: str) -> bool:
    """Whether a module lies in a folder that was let in: it belongs to the suites there, and to nobody else."""
    return bool(_holders(module.partition(".")[0]))


def installed(kind: str) -> dict[str, str]:
    """What installed packages offer of a kind by entry points, such as `harness.loaders`: name to module:name."""
    return {point.name: point.value for point in entry_points(group=f"harness.{kind}s")}


def named(target: str, kind: str) -> Any:
    """What `module:name`, or an installed name, names. Raises Refused where that cannot be imported."""
    module, _, path = (target if ":" in target else installed(kind).get(target, "")).partition(":")
    if not module or not path:
        do = f"write it as my_module:my_name, or install it as an entry point in harness.{kind}s"
        raise Refused(f"{kind} {target!r} is not written as module:name", do=do)
    try:
        found = importlib.import_module(module)
        _refuse_another(module.partition(".")[0])
        for name in path.split("."):
            found = getattr(found, name)
    except Refused:
        raise
    except Exception as error:  # it is somebody else's code that runs here
        said = f"{type(error).__name__}: {error}" if not isinstance(error, (ImportError, AttributeError)) else error
        raise Refused(f"{kind} {target!r} cannot be imported: {said}", do="mend the name module:attribute") from None
    return found


def _refuse_another(top: str) -> None:
    """Refuse a module that is not the one beside the suite, though there is one of that name."""
    holders = _holders(top)
    file = getattr(sys.modules[top], "__file__", None) or ""
    if holders and not any(Path(file).is_relative_to(folder) for folder in holders):
        raise Refused(f"another module is named {top}: {file}", where=str(holders[0]), do="rename yours")
    if len(holders) > 1:
        where = " and ".join(map(str, holders))
        raise Refused(f"two suites' folders hold a module {top}", where=where, do="rename one, or run them apart")


def _holders(top: str) -> list[Path]:
    return [folder for folder in _folders if (folder / f"{top}.py").exists() or (folder / top).is_dir()]
