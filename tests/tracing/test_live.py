"""For people's own tests: a block, a fixture and callbacks, all without an intent."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import harness
from harness.refusal import Refused
from tests.docs.conftest import blocks
from tests.tracing.conftest import run_many


def trained(model: Any, optimizer: Any, zero: bool = True) -> None:
    import torch

    for _ in range(3):
        loss = torch.nn.functional.cross_entropy(model(torch.randn(4, 3)), torch.tensor([0, 1, 0, 1]))
        loss.backward()
        optimizer.step()
        if zero:
            optimizer.zero_grad()


@pytest.fixture
def parts() -> tuple[Any, Any]:
    import torch

    model = torch.nn.Linear(3, 2)
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def status(results: Any, check: str) -> str:
    return next(str(result.status.value) for result in results if result.check == check)


def test_a_block_judges_what_is_in_it(parts: tuple[Any, Any], tmp_path: Path) -> None:
    with harness.watch(tmp_path / "trace", *parts) as training:
        trained(*parts)

    assert training.results().ok, str(training.results())
    assert status(training.results(), "gradients_fresh") == "passed"
    assert harness.check(tmp_path / "trace", {"precision": "fp32"}).ok
    assert not parts[0]._forward_hooks
    with pytest.raises(Refused, match="holds files already"):
        harness.watch(tmp_path / "trace", *parts).__enter__()


def test_dropout_that_stays_on_is_found_at_the_end(tmp_path: Path) -> None:
    import torch

    class Dropped(torch.nn.Linear):
        always = False

        def forward(self, x: Any) -> Any:
            return torch.nn.functional.dropout(super().forward(x), 0.5, self.always or self.training)

    seen = []
    for always in (False, True):
        model = Dropped(3, 2)
        model.always = always
        with harness.watch(tmp_path / f"{always}", model) as training:
            trained(model, torch.optim.SGD(model.parameters(), lr=0.1))
        assert model.training
        seen.append(status(training.results(), "evaluation_repeats"))

    assert seen == ["passed", "failed"]


def test_the_fixture_does_too(watched_training: Callable[..., Any], parts: tuple[Any, Any]) -> None:
    with watched_training(*parts) as training:
        trained(*parts, zero=False)
    with watched_training(*parts) as another:
        trained(*parts)

    assert not training.results().ok
    assert status(training.results(), "gradients_fresh") == "failed"
    assert another.directory != training.directory


def test_an_intent_is_held_against_it_besides(parts: tuple[Any, Any], tmp_path: Path) -> None:
    with harness.watch(tmp_path / "trace", *parts, intent={"trains": [], "steps": 3}) as training:
        trained(*parts)

    results = training.results()
    assert status(results, "trainable_set_as_intended") == "failed"
    assert status(results, "workers_share_data") == "not_applicable"
    assert "gradients_fresh" not in {result.check for result in results}  # the recipes' own check says it


def test_an_exception_is_recorded_and_raised_on(parts: tuple[Any, Any], tmp_path: Path) -> None:
    def goes_wrong() -> None:
        with harness.watch(tmp_path / "trace", *parts):
            trained(*parts)
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError):
        goes_wrong()
    assert status(harness.check(tmp_path / "trace"), "run.completed") == "failed"


def test_a_block_that_trains_nothing_says_so(tmp_path: Path) -> None:
    with harness.watch(tmp_path / "trace") as training:
        pass

    with pytest.raises(Refused, match="nothing was trained"):
        training.results()


def test_lightnings_callback_records_from_start_to_end(parts: tuple[Any, Any], tmp_path: Path) -> None:
    model, optimizer = parts
    callback = harness.lightning_callback(tmp_path / "trace")
    callback.on_train_start(SimpleNamespace(optimizers=[optimizer]), model)
    trained(model, optimizer)
    callback.on_train_end(None, model)

    assert callback.watching.results().ok


def test_the_callback_that_the_page_shows_records_a_run(tmp_path: Path) -> None:
    (source,) = [block for block in blocks("docs/trace.md") if block.name == "callback.py"]
    (tmp_path / "callback.py").write_text(source.text, encoding="utf-8")

    (ran,) = run_many([{"script": str(tmp_path / "callback.py"), "directory": str(tmp_path / "hf"), "traced": False}])

    assert ran.status == 0, ran.printed
    assert int(ran.printed.splitlines()[-1].split()[0]) >= 8


def test_a_model_is_copied_and_pickled_while_it_is_recorded(tmp_path: Path) -> None:
    import torch

    with harness.record(tmp_path / "trace", {"precision": "fp32"}):
        model = torch.nn.Linear(3, 2)
        trained(model, torch.optim.SGD(model.parameters(), lr=0.1))
        best = copy.deepcopy(model)
        torch.save(model, tmp_path / "whole.pt")

    again = torch.load(tmp_path / "whole.pt", weights_only=False)
    assert torch.equal(best.weight, model.weight)
    assert torch.equal(again.weight, model.weight)
    assert not best._forward_hooks
