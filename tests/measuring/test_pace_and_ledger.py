"""What is measured of a training: its windows of steps, its memory by phase, and the operations it needs."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import nn

from harness.measuring import Bare, Ledger, Pace, bare_seconds, flops_of_steps, kept_for_backward
from harness.measuring.pace import Stopwatch

CPU = torch.device("cpu")
FEATURES, WIDTH, ROWS = 6, 10, 4
FLOAT = 4


class Counting(Stopwatch):
    """One whose edges are written down with what had been done by then."""

    def __init__(self, done: list[str]) -> None:
        super().__init__(CPU, lambda: 1e9)
        self.done, self.edges = done, list[int]()

    def edge(self) -> None:
        super().edge()
        self.edges.append(len(self.done))


def model(frozen_first: bool = False) -> Any:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(FEATURES, WIDTH, bias=False), nn.Linear(WIDTH, 1, bias=False))
    made[0].requires_grad_(not frozen_first)
    return made


def loss_of(of: Any, batch: dict[str, Any]) -> Any:
    return of(batch["x"]).sum()


def batch(rows: int = ROWS) -> dict[str, Any]:
    return {"x": torch.ones(rows, FEATURES)}


def train(of: Any, steps: int, accumulation: int, done: list[str], *, evaluates: bool = False) -> None:
    """As engines do: micro-batches, a step of the optimizer, what is logged, at times a forward that trains nothing."""
    optimizer = torch.optim.AdamW([one for one in of.parameters() if one.requires_grad], lr=0.1)
    for _ in range(steps):
        for _ in range(accumulation):
            loss_of(of, batch()).backward()
            done.append("micro")
        optimizer.step()
        optimizer.zero_grad()
        done.append("step")
        if evaluates:
            with torch.no_grad():
                loss_of(of, batch())
            loss_of(of.eval(), batch())
            of.train()


@pytest.mark.parametrize("accumulation", [1, 3])
@pytest.mark.parametrize("evaluates", [False, True])
def test_windows_are_whole_steps_after_the_warm_up(accumulation: int, evaluates: bool) -> None:
    """An edge lies where the first micro-batch of a step begins, and forwards that train nothing are not counted."""
    done: list[str] = []
    watch, of = Counting(done), model()
    pace = Pace(of, lambda: watch, accumulation=accumulation, warm_up=2, window=4, windows=3)
    train(of, 2 + 4 * 3 + 1 + 5, accumulation, done, evaluates=evaluates)
    pace.stop()

    entries = accumulation + 1  # of `done` for each step
    assert watch.edges == [entries * step for step in (2, 6, 10, 14)]
    assert pace.stopwatch is watch
    assert (len(watch.windows.seconds), len(watch.windows.waited), len(watch.windows.matmul)) == (3, 3, 4)


def test_a_training_that_ends_early_has_fewer_windows() -> None:
    watch, of = Counting([]), model()
    pace = Pace(of, lambda: watch, accumulation=1, warm_up=2, window=4, windows=3)
    train(of, 9, 1, watch.done)
    pace.stop()
    train(of, 9, 1, watch.done)

    assert len(watch.windows.seconds) == 1


def test_what_is_measured_at_an_edge_is_in_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("harness.measuring.pace.own_seconds", lambda device: now[0])
    monkeypatch.setattr("harness.measuring.pace.waited", lambda device: 0.0)

    def rate() -> float:
        now[0] += 100.0
        return 1e9

    watch = Stopwatch(CPU, rate)
    for _ in range(3):
        watch.edge()
        now[0] += 2.0
    assert watch.windows.seconds == [2.0, 2.0]


def test_the_bare_loop_has_as_many_windows_and_leaves_the_model_as_it_is() -> None:
    watch, of = Counting([]), model()
    before = [one.clone() for one in of.parameters()]
    forwards: list[bool] = []
    of.register_forward_pre_hook(lambda module, _: forwards.append(module.training))
    bare_seconds(Bare(of.eval(), loss_of, clip_norm=1.0), [[batch(), batch()]] * 5, watch, warm_up=2, windows=3)

    assert len(watch.windows.seconds) == 3
    assert forwards == [True] * 2 * (2 + 5 * 3)
    assert all(map(torch.equal, before, of.parameters()))


def closed_form(rows: int, *, frozen_first: bool) -> int:
    """A product of n by k by m is 2nkm: forward, gradient of the weight, and of the input where something before
    trains. Nothing before the first layer does."""
    first, second = 2 * rows * FEATURES * WIDTH, 2 * rows * WIDTH
    return first + 2 * second if frozen_first else 2 * first + 3 * second


@pytest.mark.parametrize("frozen_first", [False, True])
def test_operations_are_those_of_a_closed_form(frozen_first: bool) -> None:
    of = model(frozen_first)
    steps = [[batch(2)], [batch(2), batch(5)], [batch(2)]]

    two, five = (closed_form(rows, frozen_first=frozen_first) for rows in (2, 5))
    assert flops_of_steps(Bare(of, loss_of), steps) == [two, two + five, two]
    assert all(one.grad is None for one in of.parameters())


def test_what_a_forward_keeps_is_counted_by_component_and_once() -> None:
    """The second layer keeps its input for the gradient of its weight; the first one's is the batch, there anyway."""
    kept = kept_for_backward(Bare(model(), loss_of), batch(), lambda path: "one" if path.startswith("0.") else "two")
    assert kept == {"two": ROWS * WIDTH * FLOAT}


def test_what_is_frozen_keeps_nothing() -> None:
    of = model()
    of.requires_grad_(False)
    of.register_parameter("shift", nn.Parameter(torch.zeros(())))
    kept = kept_for_backward(
        Bare(of, lambda made, given: made(given["x"]).sum() + made.shift), batch(), lambda path: path
    )
    assert kept == {}


@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_ledger_knows_gradients_states_and_where_they_are(accumulation: int) -> None:
    of = model(frozen_first=True)
    ledger = Ledger(of, accumulation, 4)
    ledger.start()
    train(of, 6, accumulation, [])
    ledger.stop()
    found = ledger.to_json()

    trained = WIDTH * FLOAT
    assert ledger.gradients == {"1.weight": trained}
    assert ledger.states == {"1.weight": 2 * trained}
    assert list(found["peak"]) == ["forward", "backward", "optimizer", "between"]
    assert found["peak"]["backward"] >= 3 * trained, "two moments and the gradient"
    assert len(found["began"]) == 3, "of each step that is watched but the first"
    assert len(set(found["began"])) == 1, "nothing is kept from one step to the next"


def test_a_copy_that_is_kept_at_each_step_is_seen_to_the_byte() -> None:
    of, kept = model(), []
    of.register_forward_hook(lambda module, _, output: kept.append(torch.zeros(256)))
    ledger = Ledger(of, 1, 4)
    ledger.start()
    train(of, 6, 1, [])
    ledger.stop()
    began = ledger.to_json()["began"]

    assert [later - before for before, later in itertools.pairwise(began)] == [256 * FLOAT] * 2
