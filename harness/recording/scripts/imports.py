"""Doing something right after a library was imported, before anybody else gets hold of what is in it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from typing import Any


class AfterImport:
    """A finder that finds nothing by itself: the others find the library, and when it is loaded it is told."""

    def __init__(self, name: str, do: Callable[[], None]) -> None:
        self.name, self._do, self._busy = name, do, False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self.name or self._busy:
            return None
        self._busy = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._busy = False
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            load(module)
            self._do()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def after(name: str, do: Callable[[], None]) -> AfterImport | None:
    """Do something once a library is imported, or now where it is already."""
    if name in sys.modules:
        do()
        return None
    finder = AfterImport(name, do)
    sys.meta_path.insert(0, finder)
    return finder
