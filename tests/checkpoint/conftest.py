import json
from pathlib import Path

import pytest
import torch

from harness.trace.writer import write_safetensors

SHARDS = {
    "model-00001-of-00002.safetensors": {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(3).half()},
    "model-00002-of-00002.safetensors": {"b.weight": torch.tensor([[1.0, -0.0]]).bfloat16(), "empty": torch.empty(0)},
}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A sharded checkpoint directory without fault."""
    directory = tmp_path / "saved"
    directory.mkdir()
    for name, tensors in SHARDS.items():
        write_safetensors(directory / name, tensors, {"format": "pt"})
    weight_map = {key: name for name, tensors in SHARDS.items() for key in tensors}
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (directory / "config.json").write_text('{"model_type": "demo"}')
    (directory / "notes.txt").write_text("any")
    return directory
