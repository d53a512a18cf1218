"""The evidence of one faultless run, that a specimen alters in as little as possible."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from harness.checks import CHECKS
from harness.checks.judging import judge
from harness.intent import Intent
from harness.result import Result
from harness.trace.reader import Trace
from tests.judging.faultless_model import BASE, PARAMETERS, Record, last_fingerprints
from tests.judging.faultless_reload import base, reload
from tests.judging.faultless_training import events, intent_settings


@dataclass
class Evidence:
    """Intent, header, events and the streams of the loading processes as plain data, to be altered before judging."""

    directory: Path
    intent: Record = field(default_factory=intent_settings)
    events: list[Record] = field(default_factory=events)
    stream: list[Record] = field(default_factory=reload)
    base: list[Record] = field(default_factory=base)
    outcome: Record = field(default_factory=lambda: {"code": 0, "ended": "exited with 0"})
    header: Record = field(default_factory=dict)
    partners: dict[str, list[Record]] = field(default_factory=dict)
    measured: dict[str, Record] = field(default_factory=dict)  # times and memory, by partner
    others: list[list[Record]] = field(default_factory=list)  # what the other processes of the run saw

    def __post_init__(self) -> None:
        keys = {path.replace(".base_layer", "").replace(".modules_to_save.default", ""): index
                for index, (path, role, _) in enumerate(PARAMETERS) if role in ("base", "copy")}  # fmt: skip
        self.header["intent"] = {"components": self.intent["components"]}
        self.header["base"] = {key: {"float32": f"start-{index}"} for key, index in keys.items()}
        self.header["base_roles"] = {"tokenizer": ["t"], "processor": ["p"], "chat template": ["j"]}
        for folder, factor in (("rank-0", 1.0), ("reload", 1.5), ("base", 1.25)):
            (self.directory / folder).mkdir()
            logits = np.full((1, 2), factor, dtype=np.float32)
            save_file({"image": logits, "text": logits}, self.directory / folder / "a.safetensors")

    def all(self, kind: str) -> list[Record]:
        return [event for event in self.events if event["kind"] == kind]

    def one(self, kind: str, at: int = 0) -> Record:
        return self.all(kind)[at]

    def drop(self, *kinds: str) -> None:
        self.events = [event for event in self.events if event["kind"] not in kinds]

    def probe(self, name: str) -> Record:
        return next(event for event in self.all("probe") if event["name"] == name)

    @property
    def reloaded(self) -> Record:
        return self.stream[1]

    @property
    def saved(self) -> Record:
        """What lies in the saved directory."""
        return self.stream[0]

    def saves(self, what: str) -> None:
        """Let the run have no adapter, and save the whole model, or what was trained of it."""
        self.intent["save"]["what"] = what
        self.intent.pop("adapter")
        last = zip(PARAMETERS, last_fingerprints(), strict=True)
        kept = {path: value for (path, _, trains), value in last if trains or what == "full"}
        self.intent["trains"] = [r"connector\.weight", r".*lora_[AB]"]
        facts = {"file": "a.safetensors", "dtype": "F32", "shape": [2, 2]}
        self.saved["tensors"] = {path: {**facts, "fingerprint": value} for path, value in kept.items()}
        self.one("parameters")["role"] = ["base"] * len(PARAMETERS)

    def adds_tokens(self) -> None:
        """Let the connector be an embedding that has grown to two rows."""
        self.intent["resized"] = ["connector\\."]
        self.one("encoded")["tokens"] = 2
        self.reloaded["vocabulary"] = {"tokens": 2, "largest": 1, "rows": 2, "ids": {}}

    def index(self, path: str) -> int:
        """The place of the parameter whose path ends so."""
        (found,) = [i for i, (name, _, _) in enumerate(PARAMETERS) if name.endswith(path)]
        return found

    def put(self, kind: str, column: str, path: str, value: Any, moment: str | None = None) -> None:
        """Set one parameter's entry in a column, in every event of the kind."""
        for event in self.all(kind):
            if moment in (None, event.get("moment")):
                event[column][self.index(path)] = value

    def moves(self, path: str, elements: int = 1, step: int = -1, last: str | None = "moved") -> None:
        """Let some elements of a parameter change at a step."""
        index = self.index(path)
        self.one("optimizer_step", step)["values"]["m"]["changed"][index] = elements
        if last is not None:
            self.one("final")["fingerprint"][index] = last

    def stays(self, path: str) -> None:
        """Let no element of a parameter ever change."""
        index = self.index(path)
        for step in self.all("optimizer_step"):
            step["values"]["m"]["changed"][index] = 0
        self.one("final")["fingerprint"][index] = f"start-{index}"
        self.reloaded["fingerprints"][f"{BASE}{PARAMETERS[index][0]}"] = f"start-{index}"

    def trace(self) -> Trace:
        trace = Trace(self.directory, self.header, self.events, self.stream, self.base, outcome=self.outcome)
        trace.others = [replace(trace, rank=rank, events=seen) for rank, seen in enumerate(self.others, start=1)]
        return trace

    def judged(self, check: str) -> Result:
        partners = {
            name: Trace(self.directory, self.header, events, measured=self.measured.get(name, {}))
            for name, events in self.partners.items()
        }
        return judge(CHECKS[check], "recipe", Intent.model_validate(self.intent), self.trace(), partners)
