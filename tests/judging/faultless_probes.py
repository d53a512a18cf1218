"""What was announced of the samples, and what the probes of a faultless run saw."""

from __future__ import annotations

from tests.judging.faultless_model import ADAPTED, BASE, LENGTH, STEPS, Record


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
        "single": {"<end>": 1, "<turn>": 1},
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
