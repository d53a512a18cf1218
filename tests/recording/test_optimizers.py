"""What is told of an optimizer's state at the end: all of it, or of very much the beginning of each tensor."""

import pytest
import torch

from harness.recording import optimizers
from harness.recording.optimizers import OptimizerFacts


def stepped() -> tuple[torch.optim.Optimizer, torch.Tensor]:
    parameter = torch.nn.Parameter(torch.ones(50))
    optimizer = torch.optim.AdamW([parameter])
    parameter.grad = torch.ones(50)
    optimizer.step()
    return optimizer, optimizer.state[parameter]["exp_avg"]


@pytest.mark.parametrize(("place", "seen"), [(3, True), (30, False)])
def test_of_very_much_the_beginning_counts(place: int, seen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "MANY", 100)
    monkeypatch.setattr(optimizers, "OF_MANY", 10)
    optimizer, moment = stepped()
    before = OptimizerFacts("o", optimizer).whole_state_digest()
    moment[place] += 1

    assert (OptimizerFacts("o", optimizer).whole_state_digest() != before) is seen


def test_else_every_element_does() -> None:
    optimizer, moment = stepped()
    before = OptimizerFacts("o", optimizer).whole_state_digest()
    moment[30] += 1

    assert OptimizerFacts("o", optimizer).whole_state_digest() != before
