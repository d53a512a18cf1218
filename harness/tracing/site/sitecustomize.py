"""Found by Python at its start, first on PYTHONPATH, in each process of a command that `harness trace` runs.

It runs the sitecustomize that it stands before, then waits for torch: a process that never imports it pays nothing. The
standard library only, Python 3.9 and later; nothing that happens here may reach the process.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__))
_HARNESS = os.path.dirname(os.path.dirname(_HERE))  # the package itself


def _run_the_one_before() -> None:
    """The sitecustomize that Python would have found without this one."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != _HERE]
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


class _AfterTorch:
    """A finder that finds nothing by itself: it has torch found by the others, and attaches when it is loaded.

    It stays: many libraries look for torch long before they import it.
    """

    busy = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "torch" or self.busy:
            return None
        import importlib.util

        self.busy = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.busy = False
        if spec is not None and spec.loader is not None:
            _quietly(lambda: _told(spec))
        return spec


def _told(spec: Any) -> None:
    load = spec.loader.exec_module

    def exec_module(module: ModuleType) -> None:
        load(module)
        _quietly(_attach)

    spec.loader.exec_module = exec_module


def _attach() -> None:
    text = os.environ.get("HARNESS_TRACE")
    if not text:
        return
    with _Harness():
        from harness.recording.scripts import Options, attach

        attach(Options.decoded(text))


class _Harness:
    """While it is imported, `harness` is this one, of which the recorder needs two packages and nothing else.

    A process that has another of that name gets its own back; one that has this one keeps it whole.
    """

    def __enter__(self) -> None:
        import importlib.util
        import types

        spec = None if "harness" in sys.modules else importlib.util.find_spec("harness")
        places = list(spec.submodule_search_locations or ()) if spec is not None else []
        self.ours = _HARNESS in [os.path.abspath(place) for place in places]
        self.kept: dict[str, ModuleType] = {}
        if not self.ours:
            self.kept = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_harness(name)}
            bare = types.ModuleType("harness")
            bare.__path__ = [_HARNESS]
            sys.modules["harness"] = bare

    def __exit__(self, *_: object) -> None:
        if not self.ours:
            for name in list(sys.modules):
                if _is_harness(name):
                    del sys.modules[name]
            sys.modules.update(self.kept)


def _is_harness(name: str) -> bool:
    return name == "harness" or name.startswith("harness.")


def _quietly(do: Callable[[], None]) -> None:
    try:
        do()
    except Exception as error:
        _say(error)


def _say(error: Exception) -> None:
    """Why nothing is recorded here, in a file beside the traces: the process's own output stays as it is."""
    try:
        import json
        import traceback

        out = json.loads(os.environ["HARNESS_TRACE"])["out"]
        with open(os.path.join(out, f"not-attached-{os.getpid()}.txt"), "w") as file:
            file.write("".join(traceback.format_exception(type(error), error, error.__traceback__)))
    except Exception:
        return


if os.environ.get("HARNESS_TRACE"):
    sys.meta_path.insert(0, _AfterTorch())
_run_the_one_before()
