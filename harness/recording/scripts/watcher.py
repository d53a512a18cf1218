"""What looks at one side of a script, beside the recorder itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.recording.scripts.recorder import ScriptRecorder


class Watcher:
    """Puts wrappers of its own on, from when it is made until it is stopped."""

    def __init__(self, recorder: ScriptRecorder) -> None:
        self.recorder = recorder
        self._patches = recorder.patches()

    def libraries(self) -> None:
        """An optimizer was made: look at the libraries that the process has imported by now."""

    def closing(self) -> None:
        """The training is over: say what was seen."""

    def stop(self) -> None:
        self._patches.undo()
