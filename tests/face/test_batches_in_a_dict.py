"""A model that is given one dict, and whose loss its trainer computes, is recorded like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import harness

INTENT = {"components": [["table", "language"]], "trains": ["table"], "steps": 2}
IGNORED = -100


class Model(nn.Module):
    """Takes `data` alone, positional or by name, and knows no labels."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(8, 8)

    def forward(self, data: dict[str, Any]) -> dict[str, torch.Tensor]:
        return {"logits": self.table(data["input_ids"])}


def train(labels: torch.Tensor, by_name: bool, loss: Any) -> None:
    torch.manual_seed(0)
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    data = {"input_ids": torch.tensor([[1, 2, 3], [4, 5, 6]]), "pixel_values": [[torch.ones(2)], []]}
    for _ in range(2):
        output = model(data=data) if by_name else model(data)
        loss(output["logits"].view(-1, 8), labels.view(-1)).backward()
        optimizer.step()
        optimizer.zero_grad()


def events(trace: Path, kind: str) -> list[dict[str, Any]]:
    lines = (trace / "rank-0" / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["kind"] == kind]


LABELS = torch.tensor([[2, 3, IGNORED], [IGNORED, 6, 7]])


def by_function(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Looked up when it is called: who imports the function by name before recording begins is not seen."""
    return nn.functional.cross_entropy(logits, labels)


LOSSES = {
    "function": by_function,
    "by name": lambda logits, labels: nn.functional.cross_entropy(input=logits, target=labels),
    "module": nn.CrossEntropyLoss(),
}


@pytest.mark.parametrize("by_name", [True, False], ids=["by name", "positional"])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_samples_pixels_and_labels_are_seen(tmp_path: Path, by_name: bool, loss: Any) -> None:
    with harness.record(tmp_path, INTENT):
        train(LABELS, by_name, loss)

    assert [len(event["samples"]) for event in events(tmp_path, "forward")] == [2, 2]
    assert all(event["pixels"] for event in events(tmp_path, "forward"))
    assert [event["labels"] for event in events(tmp_path, "backward")] == [4, 4]
    results = harness.check(tmp_path)
    assert results.ok, str(results)


def test_a_batch_without_labels_is_found(tmp_path: Path) -> None:
    def masked(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(logits, labels, reduction="sum") + logits.sum() * 1e-3

    with harness.record(tmp_path, INTENT):
        train(torch.full_like(LABELS, IGNORED), True, masked)

    failed = {result.check for result in harness.check(tmp_path) if result.status.value == "failed"}
    assert failed == {"labels_present"}


def test_other_losses_leave_the_labels_unknown(tmp_path: Path) -> None:
    def squared(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return (logits**2).mean()

    with harness.record(tmp_path, INTENT):
        train(LABELS, True, squared)

    assert all("labels" not in event for event in events(tmp_path, "backward"))
