"""trainers.yaml: which trainers, installed from what, and the command line of each case."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from harness.frozen import Frozen
from harness.recipe.yaml_file import read_yaml

HERE = Path(__file__).parent
FILE = HERE / "trainers.yaml"

Case = Literal["healthy", "healthy adapter", "frozen part trains", "optimizer before adapter", "processor not saved"]
CASES: tuple[Case, ...] = (
    "healthy",
    "healthy adapter",
    "frozen part trains",
    "optimizer before adapter",
    "processor not saved",
)
HEALTHY: tuple[Case, ...] = CASES[:2]


class Layer(Frozen):
    """A trainer's environment: versions by distribution, laid over the environment of the harness.

    `brings` names what stands beside torch and that the layer may bring nevertheless; `without` what it leaves out.
    """

    versions: Mapping[str, str]
    brings: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


class Data(Frozen):
    """What `harness data` is asked for."""

    format: str
    kind: str
    samples: int = 16


class Run(Frozen):
    """One case: its words after the trainer's command or a command of its own, and the intent that it is held to."""

    intent: str
    add: str = ""
    command: str | None = None
    kind: str | None = None  # of what is saved, where `harness inspect` cannot tell by itself


class Also(Frozen):
    """Further models, whose tiny checkpoints the trainer is given by path for the first case, each with the intent that
    it is held to, and words that it takes for them."""

    models: Mapping[str, str] = {}
    add: str = ""


class Trainer(Frozen):
    """A trainer: the distributions that its row names, the model that it is given, and its cases."""

    name: str
    shows: tuple[str, ...]
    command: str
    runs: Mapping[Case, Run]
    layer: str | None = None
    model: str = "llava-1.5-7b"
    data: Data
    environment: Mapping[str, str] = {}
    remark: str = ""
    also: Also = Also()

    def given(self, model: str) -> Trainer:
        """The same trainer with one of the further models: the first case, and what that takes besides."""
        first = CASES[0]
        more = {"add": f"{self.runs[first].add} {self.also.add}", "intent": self.also.models[model]}
        run = self.runs[first].model_copy(update=more)
        return self.model_copy(update={"model": model, "runs": {first: run}})

    def words(self, case: Case, places: Mapping[str, str]) -> list[str]:
        """The command of a case, with its places filled in."""
        run = self.runs[case]
        text = run.command or f"{self.command} {run.add}"
        return [word.format_map(places) for word in text.split()]


class Asked(Frozen):
    """The whole file."""

    description: str = ""
    layers: Mapping[str, Layer]
    caught_by: Mapping[Case, tuple[str, ...]]
    trainers: tuple[Trainer, ...]


def read_asked(path: Path = FILE) -> Asked:
    return Asked.model_validate(read_yaml(path, "trainers"))
