"""What looks at one side of a script, beside the recorder itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.recording.scripts.imports import AfterImport, after

if TYPE_CHECKING:
    from harness.recording.scripts.recorder import ScriptRecorder


class Watcher:
    """Puts wrappers of its own on, from when it is made until it is stopped."""

    def __init__(self, recorder: ScriptRecorder) -> None:
        self.recorder = recorder
        self._patches = recorder.patches()
        self._finders: list[AfterImport] = []

    def after(self, library: str, do: Callable[[], None]) -> None:
        """Do something once a library is imported, which may be long after torch; or now, where it is already."""
        if (finder := after(library, do)) is not None:
            self._finders.append(finder)

    def closing(self) -> None:
        """The training is over: say what was seen."""

    def stop(self) -> None:
        self._patches.undo()
        for finder in self._finders:
            if finder in sys.meta_path:
                sys.meta_path.remove(finder)
