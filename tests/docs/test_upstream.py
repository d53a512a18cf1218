"""The page about upstream scripts: its recorder records one, its table names the files there are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "upstream.md").read_text(encoding="utf-8")
SCRIPT = """
import sys, torch
assert sys.argv[1:] == ["--steps", "2"] and __name__ == "__main__"
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.vpm, self.resampler = torch.nn.Embedding(8, 4), torch.nn.Linear(4, 8)

    def forward(self, input_ids, labels):
        logits = self.resampler(self.vpm(input_ids))
        return {"loss": torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten()), "logits": logits}

model = Model()
model.vpm.requires_grad_(False)
optimizer = torch.optim.AdamW(model.resampler.parameters(), lr=1e-2)
for step in range(2):
    ids = torch.arange(6).reshape(2, 3)
    model(input_ids=ids, labels=ids)["loss"].backward()
    optimizer.step()
    optimizer.zero_grad()
"""
INTENT = "intents: {neither: {trains: ['resampler'], weights: float32}, vision: {trains: ['vpm', 'resampler']}}"


def test_its_recorder_records_a_script_that_is_then_judged(tmp_path: Path) -> None:
    from harness.face import check
    from harness.intents import read_intent as intent_at

    (tmp_path / "record.py").write_text(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0], encoding="utf-8")
    (tmp_path / "train.py").write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "intent.yaml").write_text(INTENT, encoding="utf-8")
    command = [sys.executable, "record.py", "trace", "train.py", "--steps", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    right, wrong = (check(tmp_path / "trace", intent_at(f"{tmp_path}/intent.yaml::{n}")) for n in ("neither", "vision"))

    assert right.ok, str(right)
    assert sum(result.status.value == "passed" for result in right) > 5
    assert [one.check for one in wrong if one.status.value == "failed"] == ["trainable_set_as_intended"]


def test_its_table_names_every_intent_file() -> None:
    assert set(re.findall(r"`(\w+\.yaml)` \|", PAGE)) == {
        path.name for path in (ROOT / "suites/upstream").glob("*.yaml")
    }
