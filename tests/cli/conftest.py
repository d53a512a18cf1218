"""The command line, called in this process where nothing is trained, and as the installed script where something is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.checkpoint.directories import LAYERS, tensors, with_code, write

HELPERS = Path(__file__).parent.parent / "plugin"  # plugins for sessions under test
WITHOUT_OTHERS = "-p no:hypothesispytest -p no:anyio"  # other plugins, which take longer to start than all the rest
PROCESSOR = ("preprocessor_config.json", "processing_demo.py", "image_processing_demo.py")


@dataclass(frozen=True)
class Ran:
    """A command that has ended: its exit status, and what it said."""

    status: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The one line with which bad input is refused, without the program's name."""
        assert self.status == 2, self
        assert "Traceback" not in self.out + self.err, self
        assert self.err.endswith("\n"), self
        assert self.err.count("\n") == 1, self
        assert self.err.startswith("harness: "), self
        return self.err.removeprefix("harness: ").rstrip("\n")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Call a command in this process."""
    from harness.cli.main import status_of

    def run(*arguments: Any) -> Ran:
        capsys.readouterr()
        status = status_of([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Ran(status, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def script() -> str:
    """The console script beside this interpreter."""
    found = shutil.which("harness", path=str(Path(sys.executable).parent))
    assert found, "the console script is not installed"
    return found


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Without what the pytest around this one has put there, and able to find the helper plugins."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    path = os.pathsep.join(filter(None, (str(HELPERS), kept.get("PYTHONPATH"))))
    return {**kept, "PYTHONPATH": path, "PYTEST_ADDOPTS": WITHOUT_OTHERS}


@pytest.fixture(scope="session")
def run_harness(script: str, environment: dict[str, str]) -> Callable[..., Ran]:
    """Run the console script in a folder; it starts worker processes of its own where it needs any."""

    def run(*arguments: Any, folder: Path, before: Callable[[], None] | None = None, **variables: str) -> Ran:
        done = subprocess.run(
            [script, *map(str, arguments)],
            cwd=folder,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            preexec_fn=before,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def train(run_harness: Callable[..., Ran], warm: Any) -> Callable[..., Ran]:
    """The same, sharing the tests' warm parents. `plugins` are modules of pytest for the session under test."""
    parents = {"SHARED_MAKERS": warm.makers or "", "SHARED_RELOADERS": warm.reloaders or ""}

    def run(*arguments: Any, plugins: tuple[str, ...] = (), **more: Any) -> Ran:
        return run_harness(*arguments, **parents, **more, PYTEST_PLUGINS=",".join(("shared_parents", *plugins)))

    return run


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A saved directory of one tensor in one shard, whole."""
    directory = tmp_path / "checkpoint"
    directory.mkdir()
    (directory / "config.json").write_text('{"model_type": "llava"}')
    header = json.dumps({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    (directory / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    (directory / "model.safetensors.index.json").write_text('{"weight_map": {"w": "model.safetensors"}}')
    return directory


@pytest.fixture
def base(tmp_path) -> Path:
    return with_code(tmp_path / "base")


@pytest.fixture
def saved(base) -> Path:
    """What a trainer leaves that saves model and tokenizer, and not the processor."""
    directory = base.with_name("saved")
    shutil.copytree(base, directory)
    for name in PROCESSOR:
        (directory / name).unlink()
    import torch

    torch.save({"seed": 1}, directory / "training_args.bin")
    write(directory, "trainer_state.json", {})
    return directory


@pytest.fixture
def adapter(base) -> Path:
    """An adapter for the base, with all that prepares its inputs."""
    directory = base.with_name("adapter")
    shapes = {}
    for path in LAYERS:
        shapes[f"base_model.model.llm.{path}.lora_A.weight"] = (2, 4)
        shapes[f"base_model.model.llm.{path}.lora_B.weight"] = (4, 2)
    tensors(directory, "adapter_model.safetensors", shapes)
    said = {"peft_type": "LORA", "target_modules": r"llm\..*q_proj", "base_model_name_or_path": "/models/Demo-8B"}
    write(directory, "adapter_config.json", said)
    for name in ("tokenizer.json", "tokenizer_config.json", *PROCESSOR, "tokenization_demo.py"):
        shutil.copy(base / name, directory / name)
    return directory
