"""What the processes found that loaded the base directory and the saved one, of a faultless run."""

from __future__ import annotations

from tests.judging.faultless_model import BASE, PARAMETERS, Record, last_fingerprints


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
