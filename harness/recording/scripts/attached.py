"""The recorder in a process that did not ask for it: from torch's import to the process's end."""

from __future__ import annotations

import atexit
import os
import sys
from typing import Any

from harness.recording.deepspeed import ENGINE
from harness.recording.scripts.files import FileWatch
from harness.recording.scripts.loaders import LoaderWatch
from harness.recording.scripts.options import Options
from harness.recording.scripts.recorder import ScriptRecorder
from harness.recording.scripts.watcher import Watcher


def attach(options: Options) -> ScriptRecorder:
    """Begin to record in this process. Nothing is written unless it trains."""
    recorder = ScriptRecorder(options)
    recorder.watchers = watchers_of(recorder)
    recorder.__enter__()
    recorder.enter_stage("train")
    _Ends(recorder).watch()
    return recorder


def watchers_of(recorder: ScriptRecorder) -> list[Watcher]:
    """What looks at files, at data loaders, and for DeepSpeed."""
    return [FileWatch(recorder), LoaderWatch(recorder), EngineWatch(recorder)]


class EngineWatch(Watcher):
    """Tells the recorder that DeepSpeed is there."""

    def __init__(self, recorder: ScriptRecorder) -> None:
        super().__init__(recorder)
        self.after(ENGINE, self._there)

    def _there(self) -> None:
        with self.recorder.guard("steps"):
            self.recorder.watch.libraries()


class _Ends:
    """How a process ends: by itself, by an exception, or as a child of multiprocessing, which asks nobody at exit."""

    def __init__(self, recorder: ScriptRecorder) -> None:
        self.recorder = recorder
        self.pid = os.getpid()
        self._finalized = False

    def watch(self) -> None:
        atexit.register(self.finish)
        self._hook = sys.excepthook
        sys.excepthook = self._raised
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)
        self.recorder.claimed = self._in_child

    def finish(self) -> None:
        with self.recorder.guard("steps"):
            self.recorder.finish()

    def _raised(self, kind: Any, error: BaseException, trace: Any) -> None:
        with self.recorder.guard("steps"):
            self.recorder.failed(error)
        self._hook(kind, error, trace)

    def _forked(self) -> None:
        with self.recorder.guard("steps"):
            self.recorder.forget()

    def _in_child(self) -> None:
        """A child of multiprocessing runs no exit handlers of atexit's, but finalizers of its own."""
        util = sys.modules.get("multiprocessing.util")
        process = sys.modules.get("multiprocessing.process")
        if util is None or process is None or process.parent_process() is None or self._finalized:
            return
        self._finalized = True
        util.Finalize(None, self._child_ends, exitpriority=-100)

    def _child_ends(self) -> None:
        error = sys.exc_info()[1]
        with self.recorder.guard("steps"):
            if error is not None and not isinstance(error, SystemExit):
                self.recorder.failed(error)
            self.recorder.finish()
