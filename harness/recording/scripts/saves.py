"""Where a script saves its models, so that the newest directory can be loaded again when it has ended.

Full paths, and the batch that a model is tried on, go beside the traces and not into one: a trace can be given away.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from harness.recording.scripts.gathered import Gathered
from harness.recording.scripts.readable import unreadable
from harness.trace.atomic import write_atomically
from harness.trace.fingerprint import as_hex
from harness.trace.fingerprints import Fingerprints
from harness.trace.nested import taken_apart
from harness.trace.writer import write_safetensors

if TYPE_CHECKING:
    from harness.recording.found import FoundModel
    from harness.recording.scripts.recorder import ScriptRecorder

FOLDER = "reload"  # beside the traces, with a folder for each
BATCH = "batch"


class Saves:
    """The directories that weights went to, newest last, and the values that went there."""

    def __init__(self, recorder: ScriptRecorder) -> None:
        self._recorder = recorder
        self._places: list[str] = []
        self._models: list[str | None] = []
        self._files: dict[str, list[str]] = {}  # by directory, those that no library's save_pretrained wrote
        self._dtype = "float32"

    @property
    def _asked(self) -> bool:
        return self._recorder.options.reload and self._recorder.recording

    def saved(self, what: Any, directory: Path, state: Mapping[str, Any]) -> None:
        """Something has saved itself. What a model holds is what its directory should; of a model of which a part lies
        here, the state that it was given to save."""
        if self._asked and isinstance(what, nn.Module):
            with self._recorder.guard("reload"):
                model = next((one for one in self._recorder.models if _inside(one.root) is _inside(what)), None)
                self._files.pop(str(directory.absolute()), None)
                if model is not None and model.shard.get("shard") and state:
                    gathered = Gathered(model, state)
                    told = {"unlike": gathered.unlike, "elsewhere": gathered.elsewhere}
                    self._note(model.ident, directory, gathered.tensors, told)
                else:
                    self._note(None if model is None else model.ident, directory, dict(what.named_parameters()))

    def written(self, model: FoundModel, file: Any, tensors: Mapping[int, torch.Tensor]) -> None:
        """Parameters of a model, by index, went into a file, and the model is not saving itself."""
        if self._asked and isinstance(file, (str, os.PathLike)) and not self._recorder.watch.saving:
            with self._recorder.guard("reload"):
                place = Path(file).absolute()
                names = self._files.setdefault(str(place.parent), [])
                names += [place.name] if place.name not in names else []
                self._note(model.ident, place.parent, {model.paths[i]: one for i, one in tensors.items()})

    def _note(
        self,
        ident: str | None,
        directory: Path,
        tensors: Mapping[str, torch.Tensor],
        told: Mapping[str, list[str]] | None = None,
    ) -> None:
        readable = {p: one for p, one in tensors.items() if not unreadable(one) and not hasattr(one, "ds_tensor")}
        place = directory.absolute()
        dtypes = [str(one.dtype).split(".")[-1] for one in readable.values()]
        self._recorder.event(
            "saved_directory",
            model=ident,
            directory=place.name,
            steps=self._recorder.made,
            path=list(readable),
            dtype=dtypes,
            fingerprint=[as_hex(value) for value in Fingerprints(list(readable.values()))()],
            unread=len(tensors) - len(readable),
            **(told or {}),
        )
        self._places.append(str(place))
        self._models.append(ident)
        floats = Counter(dtype for dtype in dtypes if "float" in dtype)
        self._dtype = floats.most_common(1)[0][0] if floats else self._dtype
        self._leave()

    def leave(self) -> None:
        """The same in the end: with a batch, and what the model made of it."""
        if self._places:
            with self._recorder.guard("reload"):
                self._leave()

    def _leave(self) -> None:
        """Write down what is needed to load the newest directory again."""
        trace = self._recorder.stream.directory
        folder = trace.parent.parent / FOLDER / trace.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        asked: dict[str, Any] = {"directories": self._places, "files": self._files, "dtype": self._dtype}
        asked |= {"positional": [], "arguments": {}}
        last, ident = self._recorder.last, self._models[-1]
        if ident in last.outputs and (given := last.batches.get(str(ident))) is not None:
            tensors: dict[str, torch.Tensor] = {}
            asked["positional"] = taken_apart(given[0], f"{BATCH}/p", tensors)
            asked["arguments"] = {BATCH: taken_apart(given[1], f"{BATCH}/a", tensors)}
            asked["inputs"] = f"{trace.name}.safetensors"
            write_safetensors(folder / asked["inputs"], {name: one.contiguous() for name, one in tensors.items()})
            arrays = self._recorder.stream.arrays({BATCH: last.outputs[ident].float().cpu()})
            self._recorder.stream.emit("outputs_at_end", model=ident, arrays=arrays)
        write_atomically(folder / f"{trace.name}.json", json.dumps(asked) + "\n")


def _inside(module: nn.Module) -> nn.Module:
    """The model itself, as torch.compile or FullyShardedDataParallel was given it."""
    return getattr(module, "_orig_mod", getattr(module, "_fsdp_wrapped_module", module))
