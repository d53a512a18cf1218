"""What the recorder says of a model that it has found."""

import json
from pathlib import Path
from typing import Any

import peft
import pytest
from torch import nn

from harness.recording.found import FoundModel
from harness.trace.writer import StreamWriter

LAYERS = {"base_model.model.a", "base_model.model.b"}


@pytest.mark.parametrize(
    ("config", "facts"),
    [
        pytest.param(peft.LoraConfig, {"r", "scaling"}, id="lora"),
        pytest.param(peft.IA3Config, set(), id="ia3, which has no numbers"),
        pytest.param(peft.LNTuningConfig, set(), id="ln_tuning"),
    ],
)
def test_every_adapted_layer_is_named(tmp_path: Path, config: Any, facts: set[str]) -> None:
    options = {"feedforward_modules": []} if config is peft.IA3Config else {}
    model = nn.ModuleDict({name: nn.Linear(4, 4) for name in "abc"})
    adapted = peft.get_peft_model(model, config(target_modules=["a", "b"], **options))
    stream = StreamWriter(tmp_path)

    FoundModel("m", adapted).describe(stream)
    stream.close()

    record = json.loads((tmp_path / "events.jsonl").read_text().splitlines()[0])
    assert record["adapters"].keys() == LAYERS
    assert all(facts <= known.keys() for known in record["adapters"].values())
