"""Libraries that a script imports long after torch, when the recorder is there already."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest  # noqa: TC002

from harness.recording.scripts.attached import watchers_of
from harness.recording.scripts.options import Options
from harness.recording.scripts.recorder import ScriptRecorder

ENGINE = "class DeepSpeedEngine:\n    def __init__(self):\n        self.made = True\n"


def test_the_engine_of_deepspeed_is_watched_from_its_import_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "deepspeed"]:
        monkeypatch.delitem(sys.modules, name)
    package = tmp_path / "deepspeed" / "runtime"
    package.mkdir(parents=True)
    for place, text in ((package.parent, ""), (package, "")):
        (place / "__init__.py").write_text(text)
    (package / "engine.py").write_text(ENGINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = list(sys.meta_path)

    with ScriptRecorder(Options(str(tmp_path / "out"))) as recorder:
        recorder.watchers = watchers_of(recorder)
        engine = importlib.import_module("deepspeed.runtime.engine").DeepSpeedEngine
        assert hasattr(engine.__init__, "__wrapped__")

    assert not hasattr(engine.__init__, "__wrapped__")
    assert sys.meta_path == before
    for name in [name for name in sys.modules if name.partition(".")[0] == "deepspeed"]:
        monkeypatch.delitem(sys.modules, name)
