"""The model of a faultless run: its modules, parameters and layers."""

from __future__ import annotations

from typing import Any

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


def last_fingerprints() -> list[str]:
    return [f"{'after' if trains else 'start'}-{i}" for i, (_, _, trains) in enumerate(PARAMETERS)]
