"""The evidence of one faultless run, written by hand, that a specimen alters in as little as possible."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from harness.checks import CHECKS
from harness.checks.judging import judge
from harness.intent import Intent
from harness.result import Result
from harness.trace.reader import Trace

Record = dict[str, Any]

LINEAR = "torch.nn.modules.linear.Linear"
LORA = "peft.tuners.lora.layer.Linear"
BASE = "base_model.model."
ADAPTED = ("language.layers.0.q_proj", "language.layers.1.q_proj")
STEPS = 3  # the first overflows and is skipped

# path, role, whether it trains
PARAMETERS = (
    ("vision.layers.0.q_proj.weight", "base", False),
    ("vision.norm.weight", "base", False),
    ("connector.original_module.weight", "original", False),
    ("connector.modules_to_save.default.weight", "copy", True),
    ("language.layers.0.fc.weight", "base", False),
    *(
        (f"{path}.{part}.weight", role, role == "adapter")
        for path in ADAPTED
        for part, role in (("base_layer", "base"), ("lora_A.default", "adapter"), ("lora_B.default", "adapter"))
    ),
)
TRAINED = [index for index, (_, _, trains) in enumerate(PARAMETERS) if trains]
ELEMENTS = 4
TF32 = {"matmul": False, "cudnn": False}
LENGTH = 10  # tokens of each sample


def intent_settings() -> Record:
    return {
        "components": [["vision\\.", "vision"], ["connector\\.", "connector"], ["language\\.", "language"]],
        "trains": ["connector\\."],
        "adapter": {"components": ["language"], "targets": r"language\..*q_proj", "rank": 4, "alpha": 8},
        "steps": STEPS,
        "mechanisms": {
            "autocast": "bfloat16",
            "compute": "bfloat16",
            "tf32": False,
            "loss_scaler": True,
            "overflow": True,
            "accumulation": 2,
            "checkpointing": True,
            "clip_norm": 1.0,
        },
        "save": {
            "what": "adapter",
            "at_least_shards": 2,
            "model_class": "Demo",
            "processor_class": "DemoProcessor",
            "tokenizer": True,
        },
        "samples_known": True,
        "has_images": True,
        "max_length": LENGTH,
        "probed": True,
        "base": True,
    }


def model() -> Record:
    modules = {
        "": "peft.peft_model.PeftModel",
        f"{BASE}vision.layers.0.q_proj": LINEAR,
        f"{BASE}vision.norm": "torch.nn.modules.normalization.LayerNorm",
        f"{BASE}connector": "peft.utils.other.ModulesToSaveWrapper",
        f"{BASE}connector.original_module": LINEAR,
        f"{BASE}connector.modules_to_save": "torch.nn.modules.container.ModuleDict",
        f"{BASE}connector.modules_to_save.default": LINEAR,
        f"{BASE}language.layers.0.fc": LINEAR,
    }
    for path in ADAPTED:
        modules |= {f"{BASE}{path}": LORA, f"{BASE}{path}.base_layer": LINEAR}
        modules |= {f"{BASE}{path}.{part}.default": LINEAR for part in ("lora_A", "lora_B")}
    facts = {"r": {"default": 4}, "scaling": {"default": 2.0}, "dropout": {"default": 0.0}}
    return {
        "kind": "model",
        "model": "m",
        "modules": {"path": list(modules), "type": list(modules.values())},
        "adapters": {f"{BASE}{path}": {name: dict(value) for name, value in facts.items()} for path in ADAPTED},
    }


def parameters() -> Record:
    count = len(PARAMETERS)
    return {
        "kind": "parameters",
        "model": "m",
        "path": [f"{BASE}{path}" for path, _, _ in PARAMETERS],
        "shape": [[2, 2] for _ in range(count)],
        "dtype": ["float32"] * count,
        "role": [role for _, role, _ in PARAMETERS],
        "requires_grad": [trains for _, _, trains in PARAMETERS],
        "fingerprint": [f"start-{index}" for index in range(count)],
        "rms": [1.0] * count,
    }


def layers() -> Record:
    """What each layer took and gave: products in 16 bits, norms not."""
    products = [f"{BASE}vision.layers.0.q_proj", f"{BASE}connector.modules_to_save.default"]
    products += [f"{BASE}{path}.{part}" for path in ADAPTED for part in ("base_layer", "lora_A.default")]
    rows = [(path, "Linear", "float32", "bfloat16") for path in products]
    rows.insert(1, (f"{BASE}vision.norm", "LayerNorm", "float32", "float32"))
    return {name: [row[at] for row in rows] for at, name in enumerate(("path", "kind", "takes", "gives"))}


def at_step(step: int) -> Iterator[Record]:
    """The events of one optimizer step of two micro-batches."""
    columns = {
        "norm": [0.5 if trains else None for _, _, trains in PARAMETERS],
        "nonzero": [ELEMENTS if trains else None for _, _, trains in PARAMETERS],
    }
    skipped = step == 0
    moved = [trains and not skipped for _, _, trains in PARAMETERS]
    place = {"step": step, "micro": 1}
    for micro in range(2):
        here = {"step": step, "micro": micro}
        first = step == micro == 0
        sample = [f"sample-{2 * step + micro}-{row}" for row in range(2)]
        dtypes = {"dtypes": {"Linear": ["bfloat16"]}, "layers": layers(), "tf32": dict(TF32)} if first else {}
        learned = {"fingerprint": ["labels"] * 2, "stretches": [[[4, 7], [9, 10]] for _ in range(2)]}
        seen = {"labels": 8, "samples": sample, "lengths": [LENGTH] * 2, "learned": learned, "pixels": "pixels"}
        yield {"kind": "forward", **here, "training": True, "loss": 2.0, **seen, **dtypes}
        recomputed = {"recomputed": {"Layer": 2}} if first else {}
        yield {"kind": "backward", **here, "value": 1.0, "stale": 0, **recomputed}
    yield {"kind": "gradients", **place, "moment": "backward", "norm": columns["norm"]}
    yield {"kind": "unscale", **place}
    yield {"kind": "clip", **place, "max_norm": 1.0, "total": 0.5}
    if not skipped:
        yield {"kind": "gradients", **place, "moment": "optimizer", **{k: list(v) for k, v in columns.items()}}
    values = {
        "fingerprint": [f"{'after' if trains else 'start'}-{i}" for i, trains in enumerate(moved)],
        "changed": [ELEMENTS if trains else 0 for trains in moved],
    }
    before = {"state_before": "state-0"} if skipped else {}
    yield {
        "kind": "optimizer_step",
        **place,
        **before,
        "optimizer": "o",
        "skipped": skipped,
        "lr": [0.01],
        "state": "state-1" if step else "state-0",
        "values": {"m": values},
    }
    yield {"kind": "scaler_update", **place, "before": 8.0 if skipped else 4.0, "after": 4.0}
    yield {"kind": "zero_grad", **place, "by": "AdamW"}
    if not skipped:
        yield {"kind": "scheduler_step", **place, "initial": False, "lr": [0.01]}


def last_fingerprints() -> list[str]:
    return [f"{'after' if trains else 'start'}-{i}" for i, (_, _, trains) in enumerate(PARAMETERS)]


def events() -> list[Record]:
    names = [[f"{2 * step + micro}{row}" for row in "ab"] for step in range(STEPS) for micro in range(2)]
    prints = [[f"sample-{place}-{row}" for row in range(2)] for place in range(2 * STEPS)]
    group = {"parameters": [["m", index] for index in TRAINED], "lr": 0.01}
    steps = [event for step in range(STEPS) for event in at_step(step)]
    return [
        {"kind": "data", "samples": names, "fingerprints": prints, **promised_data()},
        model(),
        parameters(),
        {
            "kind": "buffers",
            "model": "m",
            "path": [f"{BASE}vision.mean", f"{BASE}connector.mean"],
            "fingerprint": ["v", "c"],
        },
        {"kind": "scaler", "device": "cpu", "asked": True, "enabled": True, "init_scale": 8.0},
        {"kind": "optimizer", "optimizer": "o", "groups": [group]},
        *steps,
        {
            "kind": "final",
            "model": "m",
            "fingerprint": last_fingerprints(),
            "changed_since_last_step": [0] * len(PARAMETERS),
            "buffers": ["v", "c"],
        },
        {
            "kind": "encoded",
            "batches": {"image": {"input_ids": "i", "pixel_values": "p"}, "text": {"input_ids": "t"}},
            "tokens": 9,
        },
        *adapter_probes(),
        *company_probes(),
        {"kind": "probe", "name": "generated", "ids": {"image": [1, 2], "text": [3, 4]}},
        {
            "kind": "probe",
            "name": "frozen_in_training",
            "passes": 2,
            "largest_difference": {"vision": 0.0, "language": 0.0},
        },
        {"kind": "probe", "name": "evaluated_twice", "largest_difference": {"image": 0.0}, "buffers_changed": []},
        {"kind": "probe", "name": "other_pixels", "images": True, "largest_difference": 0.25},
        {"kind": "probe", "name": "outputs", "fingerprint": {"image": "I", "text": "T"}, "arrays": "a.safetensors"},
        {"kind": "closing", "steps": STEPS, "optimizer_state_dtypes": {"o": {"exp_avg": {"float32": len(TRAINED)}}}},
    ]


def company_probes() -> list[Record]:
    """Padding and company that change nothing, and pictures whose features are in their places."""
    none, one = {"image": 0.0, "text": 0.0}, {"image": 1.0, "text": 1.0}
    pictures = {"tokens": 6, "features": 6, "in_place": 6}
    beside = {"largest_difference": {"text": 0.0}, "largest_logit": {"text": 1.0}}
    company = {"names": ["image", "text", "several"], "largest_difference": none, "largest_logit": one}
    return [
        {"kind": "probe", "name": "padded_left", **beside},
        {"kind": "probe", "name": "padded_right", **{name: dict(values) for name, values in beside.items()}},
        {"kind": "probe", "name": "together", **company, "pictures": pictures},
    ]


def promised_data() -> Record:
    """What was announced of the samples beyond their names: two answers each, the first of three tokens."""
    text = {name: ["first", "second"] for name in ("promised", "decoded", "in_place")}
    return {
        "lengths": [[LENGTH] * 2 for _ in range(2 * STEPS)],
        "pictures": [[[[1, 3]], []] for _ in range(2 * STEPS)],
        "pixels": ["pixels"] * (2 * STEPS),
        "learned": [
            [
                {
                    "fingerprint": "labels",
                    "stretches": [[4, 7], [9, 10]],
                    "text": {name: list(texts) for name, texts in text.items()},
                }
                for _ in range(2)
            ]
            for _ in range(2 * STEPS)
        ],
    }


def adapter_probes() -> list[Record]:
    """An adapter that changes nothing at first, something once trained, and merges to the same."""
    none, some, one = ({"image": value, "text": value} for value in (0.0, 0.5, 1.0))
    modules = {
        "path": [f"{BASE}{path}" for path in ADAPTED],
        "dtype": ["float32"] * len(ADAPTED),
        "largest": [1.0] * len(ADAPTED),
        "changed": [0.25] * len(ADAPTED),
        "again": [0.0] * len(ADAPTED),
        "back": [0.0] * len(ADAPTED),
    }
    start = {"kept": True, "arrays": "a.safetensors", "largest_difference": none, "largest_logit": one}
    off = {"fingerprint": {"image": "B", "text": "C"}, "arrays": "a.safetensors", "effect": some}
    merged = {"modules": modules, "arrays": None, "largest_difference": dict(none), "largest_logit": one}
    return [
        {"kind": "probe", "name": "adapter_at_start", **start},
        {"kind": "probe", "name": "adapter_disabled", **off},
        {"kind": "probe", "name": "adapter_merged", **merged},
    ]


def reload() -> list[Record]:
    back = {f"{BASE}{path}": last for (path, _, _), last in zip(PARAMETERS, last_fingerprints(), strict=True)}
    return [
        {
            "kind": "inventory",
            "files": {"a.safetensors": {}, "b.safetensors": {}, "config.json": {}},
            "tensors": {"extra.a": {"file": "a.safetensors"}, "extra.b": {"file": "b.safetensors"}},
            "roles": {
                "weights": ["a.safetensors"],
                "adapter configuration": ["c"],
                "adapter weights": ["a.safetensors"],
                "tokenizer": ["t"],
                "processor": ["p"],
                "chat template": ["j"],
            },
            "code": {"named": [], "missing": []},
            "problems": [],
        },
        {
            "kind": "reloaded",
            "missing": [],
            "unexpected": [],
            "mismatched": [],
            "adapter_warnings": [],
            "model_class": "Demo",
            "fingerprints": back,
            "ties": {},
            "outputs": {"image": "I", "text": "T"},
            "arrays": "a.safetensors",
            "generated": {"image": [1, 2], "text": [3, 4]},
            "chat_template": "j",
            "vocabulary": {"tokens": 9, "largest": 8, "rows": 9, "ids": {"pad_token_id": 8}},
            "processor_class": "DemoProcessor",
            "encoded": {"image": {"input_ids": "i", "pixel_values": "p"}, "text": {"input_ids": "t"}},
        },
    ]


def base() -> list[Record]:
    """What the process that verified the base directory found."""
    return [
        {
            "kind": "reloaded",
            "missing": [],
            "unexpected": [],
            "mismatched": [],
            "model_class": "Demo",
            "outputs": {"image": "B", "text": "C"},
            "arrays": "a.safetensors",
            "chat_template": "j",
            "processor_class": "DemoProcessor",
        }
    ]


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
        return Trace(self.directory, self.header, self.events, self.stream, self.base, outcome=self.outcome)

    def judged(self, check: str) -> Result:
        partners = {name: Trace(self.directory, self.header, events) for name, events in self.partners.items()}
        return judge(CHECKS[check], "recipe", Intent.model_validate(self.intent), self.trace(), partners)


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(tmp_path)


@pytest.fixture
def forgotten() -> Iterator[Callable[[str], None]]:
    """Names of checks that a test registers and that are taken out again."""
    names: list[str] = []
    yield names.append
    for name in names:
        CHECKS.forget(name)
