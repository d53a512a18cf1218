"""Layer 5. Recording in one's own tests and trainers, without an intent: a block, a callback, a fixture.

`harness.record` is for a training that was promised something; here what holds of any training is judged, and an intent
besides where there is one. The recorder is the one of `harness trace`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.refusal import Refused

if TYPE_CHECKING:
    from harness.face import Results
    from harness.intent import Intent
    from harness.intents import IntentFile

LIGHTNING = ("lightning.pytorch", "pytorch_lightning")


class Watching:
    """A recording into a trace directory, from `begin` to `end`. `parts` are models and optimizers that are there
    already; what is built later is found by itself."""

    def __init__(self, directory: Path | str, intent: Intent | IntentFile | dict[str, Any] | None = None) -> None:
        self.directory = Path(directory).resolve()
        self._intent = intent
        self._recorder: Any = None

    def begin(self, *parts: Any) -> None:
        """Begin to record. Raises Refused where a trace lies already."""
        import torch

        from harness.recording.scripts import Options, ScriptRecorder
        from harness.recording.scripts.attached import watchers_of

        if self.directory.exists() and any(self.directory.iterdir()):
            raise Refused("holds files already", where=str(self.directory), do="name a new directory for the trace")
        recorder = ScriptRecorder(Options(str(self.directory.parent), name=self.directory.name, last_look=True))
        recorder.watchers = watchers_of(recorder)
        self._recorder = recorder.__enter__()
        recorder.enter_stage("train")
        recorder.live.add_tree(part for part in parts if isinstance(part, torch.nn.Module))
        for part in parts:
            inner = getattr(part, "optimizer", part)  # Accelerate's is around another
            if isinstance(inner, torch.optim.Optimizer):
                recorder.optimizer_made(inner)

    def failed(self, error: BaseException) -> None:
        """The training ended by an exception."""
        self._leave(lambda recorder: recorder.failed(error))

    def end(self) -> None:
        """The training is at its end."""
        self._leave(lambda recorder: recorder.finish())

    def results(self) -> Results:
        """What the checks say. Raises Refused where nothing was trained."""
        from harness.face import check

        if not (self.directory / "header.json").exists():
            raise Refused("nothing was trained", where=str(self.directory), do="step an optimizer while it is recorded")
        return check(self.directory)

    def _leave(self, say: Any) -> None:
        from harness.intents import in_header, intent_from
        from harness.trace.atomic import write_atomically

        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        say(recorder)
        recorder.__exit__()
        header = self.directory / "header.json"
        if self._intent is not None and header.exists():
            facts = json.loads(header.read_text(encoding="utf-8"))
            facts |= in_header(intent_from(self._intent, f"{self.directory}: intent"))
            write_atomically(header, json.dumps(facts, indent=1, sort_keys=True) + "\n")


@contextlib.contextmanager
def watch(
    directory: Path | str, *parts: Any, intent: Intent | IntentFile | dict[str, Any] | None = None
) -> Iterator[Watching]:
    """Record the training inside the block. An exception is recorded and raised on. At the block's end each model is
    evaluated twice on the first batch that it was given; nothing is left of that.

    `with harness.watch(tmp_path / "trace", model, optimizer) as training: ...`, then `training.results()`.
    """
    watching = Watching(directory, intent)
    watching.begin(*parts)
    try:
        yield watching
    except BaseException as error:
        watching.failed(error)
        raise
    watching.end()


def trainer_callback(directory: Path | str, intent: Intent | IntentFile | dict[str, Any] | None = None) -> Any:
    """A callback for transformers' Trainer, and for those made of it. `callback.watching.results()` judges the run."""
    from transformers import TrainerCallback

    class Recording(TrainerCallback):  # type: ignore[misc]
        watching = Watching(directory, intent)

        def on_train_begin(self, args: Any, state: Any, control: Any, **there: Any) -> None:
            self.watching.begin(there.get("model"), there.get("optimizer"))

        def on_train_end(self, args: Any, state: Any, control: Any, **there: Any) -> None:
            self.watching.end()

    return Recording()


def lightning_callback(directory: Path | str, intent: Intent | IntentFile | dict[str, Any] | None = None) -> Any:
    """A callback for Lightning's Trainer, under either of its names. `callback.watching.results()` judges the run."""

    class Recording(_lightning_base()):  # type: ignore[misc]
        watching = Watching(directory, intent)

        def on_train_start(self, trainer: Any, module: Any) -> None:
            self.watching.begin(module, *trainer.optimizers)

        def on_train_end(self, trainer: Any, module: Any) -> None:
            self.watching.end()

        def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
            self.watching.failed(exception)

    return Recording()


def _lightning_base() -> type:
    """Lightning's class of callbacks, where it is installed; Lightning takes no other."""
    import importlib

    for name in LIGHTNING:
        with contextlib.suppress(ImportError):
            base: type = importlib.import_module(name).Callback
            return base
    return object
