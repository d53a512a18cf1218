"""Fault by fault and family by family: the first drawn recipe that each applies to, and what became of it there."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.faults import FAULTS
from harness.faults.steps_taken import comes_to_a_tail_of_one, groups, overflow, repeats_a_batch, second_takes_effect
from harness.recipe import Recipe
from harness.running.session import Sockets
from harness.strategies import __main__ as command
from harness.strategies import as_yaml, each, search
from harness.strategies.drawing import Drawing
from harness.strategies.each import Asked, Cell, OneFault, Table, one_cell
from harness.strategies.properties import Drawn
from harness.strategies.screen import table_summary
from harness.strategies.searching import Batch, Found

LLAVA_15, MINIMIND, OMNILMM = "llava-1.5-7b", "minimind-v3", "omnilmm-12b"
LLAVA = Drawing((LLAVA_15,))
needs_fork = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")


def cell(fault: str, said: str = "", drawing: Drawing = LLAVA) -> tuple[Batch, list[Drawn]]:
    """What is made of a fault that is caught, or of which so is said; and all that was judged."""
    judged: list[Drawn] = []

    def judge(drawn: Drawn) -> str:
        judged.append(drawn)
        return said

    return one_cell(OneFault(Sockets(), Path(), Path(), fault=fault, judge=judge), drawing, 0, 0), judged


def test_a_fault_is_judged_in_the_first_recipe_that_it_applies_to() -> None:
    batch, judged = cell("clipping_left_out_once")
    assert (batch.tried, batch.found) == (1, None)
    (one,) = judged
    assert one.recipe is not None
    assert FAULTS["clipping_left_out_once"].fits(one.recipe)


def test_a_missed_fault_is_shown_in_the_smallest_recipe_that_it_applies_to() -> None:
    batch, judged = cell("one_loss_not_divided", "missed")
    assert len(judged) > 1
    assert batch.found is not None
    assert batch.found.how == "missed"
    assert batch.found.drawn.fault == "one_loss_not_divided"
    assert batch.found.drawn.recipe is not None
    smallest = yaml.safe_load(as_yaml(batch.found.drawn.recipe))
    assert smallest["optimizer"]["accumulation"] == 2
    assert "adapter" not in smallest
    assert "save" not in smallest


def test_a_fault_that_applies_to_nothing_drawn_is_not_judged() -> None:
    batch, judged = cell("without_zero")  # it takes DeepSpeed
    assert (batch.tried, batch.found, judged) == (0, None, [])


def test_each_fault_is_tried_in_one_family_before_any_is_in_another() -> None:
    three = Drawing((LLAVA_15, MINIMIND, OMNILMM))
    asked = Asked(three, faults=("x", "y"))
    assert asked.cells[:4] == [("x", LLAVA_15), ("y", MINIMIND), ("x", MINIMIND), ("y", OMNILMM)]
    assert len(set(asked.cells)) == len(asked.cells) == 6
    assert Asked(three, seed=1, faults=("x",)).cells[0] == ("x", MINIMIND)


def test_every_kind_of_family_comes_before_a_second_of_its_kind() -> None:
    asked = Asked(Drawing(("minimind-v1", MINIMIND, LLAVA_15, OMNILMM)), faults=("x", "y"))
    assert [family for fault, family in asked.cells if fault == "x"] == ["minimind-v1", LLAVA_15, OMNILMM, MINIMIND]
    assert [family for fault, family in asked.cells if fault == "y"] == [MINIMIND, LLAVA_15, OMNILMM, "minimind-v1"]


FOUND = Found("a fault is caught", Drawn(Recipe(family="llava-1.5-7b", tune=["connector"]), "x"), "no check saw it")


def test_the_table_has_what_was_come_to() -> None:
    table = Table({"x": {"a": "caught", "b": "missed"}, "y": {"a": "-"}}, [Batch(1, 1, FOUND)])
    assert table.lines(["b", "a", "c"]) == [
        "| fault | b | a |",
        "|---|---|---|",
        "| x | missed | caught |",
        "| y |  | - |",
    ]
    said = "3 of {} pairs of fault and family: 1 caught, 1 missed, 1 where it applies to nothing drawn"
    assert table_summary(table, 6) == said.format(6)
    assert table_summary(table, 3) == f"{said.format(3)}; nowhere to be put: y"


@needs_fork
def test_the_command_writes_the_table_and_ends_with_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class NoParents:
        sockets = Sockets()

        def __init__(self, *_asked: object) -> None: ...

        def stop(self) -> None: ...

    def tried(one: Cell) -> Batch:
        return Batch(one.number, one.number, FOUND if one.number == 1 else None)

    monkeypatch.setattr(search, "WarmParents", NoParents)
    monkeypatch.setattr(each, "tried", tried)
    faults = ["thaw_one_parameter", "one_loss_nan", "rate_of_zero"]
    with pytest.raises(SystemExit) as ended:
        command.main(out=tmp_path, family=["llava-1.5-7b"], fault=faults)
    assert ended.value.code == 1
    said = capsys.readouterr().out
    assert said.startswith(
        "thaw_one_parameter in llava-1.5-7b: applies to nothing drawn\none_loss_nan in llava-1.5-7b: missed: no"
    )
    assert "3 of 3 pairs of fault and family: 1 caught, 1 missed, 1 where" in said
    assert "| rate_of_zero | caught |" in (tmp_path / "faults.md").read_text()
    with pytest.raises(SystemExit) as ended:
        command.main(out=tmp_path, fault=["no_such_fault"])
    assert ended.value.code == 2


def recipe(steps: int = 3, **settings: object) -> Recipe:
    return Recipe.model_validate({"family": "llava-1.5-7b", "tune": ["connector"], "steps": steps} | settings)


def test_groups_are_those_of_the_steps_that_are_judged() -> None:
    data, three = {"mix": ["image"], "batch_size": 1, "samples": 4}, {"accumulation": 3}
    assert groups(recipe(optimizer=three)) == [3, 3, 3]
    assert groups(recipe(data=data, optimizer=three)) == [3, 1, 3]
    assert groups(recipe(data=data, optimizer=three, interrupted_after=1)) == [1, 3]
    assert comes_to_a_tail_of_one(recipe(2, data=data, optimizer=three))
    assert not comes_to_a_tail_of_one(recipe(data=data, optimizer=three, interrupted_after=2))
    once = {**data, "samples": 2}
    assert groups(recipe(data=once, optimizer=three)) == [2, 2, 2]
    assert not FAULTS["last_group_dropped"].fits(recipe(data=once, optimizer=three))
    assert repeats_a_batch(recipe(data=once, optimizer=three))
    assert not repeats_a_batch(recipe(data=once, optimizer=three, interrupted_after=2))


def test_a_step_that_is_skipped_shows_nothing_that_it_would_do() -> None:
    at_second = recipe(precision="fp16", loss_scaler={"overflow_at": 1})
    assert overflow(at_second) == 1
    assert not second_takes_effect(at_second)
    assert second_takes_effect(recipe(precision="fp16"))
    assert overflow(recipe(precision="fp16", interrupted_after=1)) is None


def test_what_is_restored_must_be_another_by_then() -> None:
    """Of a checkpoint, a part that begins anew shows where it has come to something else before."""

    def shown(steps: int = 3, **settings: object) -> set[str]:
        asked = recipe(steps, interrupted_after=1, agrees_with=["uninterrupted"], **settings)
        there = ("schedule_begins_anew", "scaler_begins_anew", "data_begin_anew", "weights_of_checkpoint_halved")
        return {name for name in there if FAULTS[name].fits(asked)}

    falls = {"schedule": "linear"}
    assert shown() == {"data_begin_anew", "weights_of_checkpoint_halved"}
    assert shown(optimizer=falls) == {"data_begin_anew", "weights_of_checkpoint_halved", "schedule_begins_anew"}
    assert shown(2, optimizer=falls) == {"data_begin_anew", "weights_of_checkpoint_halved"}
    assert "scaler_begins_anew" in shown(precision="fp16")
    assert "scaler_begins_anew" not in shown(precision="fp16", loss_scaler={"init_scale": 1024})
    assert shown(precision="pure-bf16") == {"data_begin_anew"}
    assert "data_begin_anew" not in shown(data={"mix": ["image"], "batch_size": 1, "samples": 1})


def test_a_factor_is_forgotten_where_something_else_has_none() -> None:
    """Of an adapter everything is called a weight: at one factor for all, nothing tells which is which."""
    rates = {"rate_factors": {"weight": 2}}
    on_adapter: dict[str, Any] = {"tune": [], "lora": {"rank": 2, "targets": ["q_proj"]}, "optimizer": rates}
    assert FAULTS["factor_of_a_name_forgotten"].fits(recipe(optimizer=rates))
    assert not FAULTS["factor_of_a_name_forgotten"].fits(recipe(**on_adapter))
    weights_alone: dict[str, Any] = {"tune": {"connector": {"named": ["weight$"]}}, "optimizer": rates}
    assert not FAULTS["factor_of_a_name_forgotten"].fits(recipe(**weights_alone))
