"""From what a load has recorded to one word: each way to lose something has its own, and nothing lost has none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.compat import judging, saving
from harness.compat.judging import not_saved, other_cell
from harness.compat.loading import Loaded, _job, _over
from harness.compat.matrix import cells_of
from harness.compat.saving import Saved, Wanted, _failed
from harness.compat_table import Cell, Outcome
from harness.places import RELOAD, REQUEST, SAVED
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.result import Status
from harness.running.runner import Runner
from harness.running.workers import Workers
from harness.trace.reader import Trace
from harness.trace.writer import write_safetensors

WANTED = Wanted("s/full", Recipe(family="llava-1.5-7b", tune=("connector",)), Path("s.yaml"))  # type: ignore[arg-type]
HEADER = {"intent": {"renames": [["^model\\.", ""]], "components": []}}
RECORD: dict[str, Any] = {
    "kind": "reloaded",
    "missing": [],
    "unexpected": [],
    "mismatched": [],
    "fingerprints": {"model.a.weight": "1", "model.b.weight": "2"},
    "encoded": {"image": {"input_ids": "t", "pixel_values": "p"}},
    "generated": {"image": [1, 2]},
    "chat_template": "c",
    "tokenizer_class": "LlamaTokenizerFast",
}


def saved(folder: Path, **more: Any) -> Saved:
    return Saved(WANTED, "old", folder / "run", folder / "base", Trace(folder, HEADER), **more)


def load(folder: Path, stack: str, logits: float = 1.0, pixels: float = 0.0, **changes: Any) -> Loaded:
    place = folder / stack / "reload"
    place.mkdir(parents=True)
    write_safetensors(place / "o.safetensors", {"image": torch.tensor([0.5, logits])})
    write_safetensors(place / "p.safetensors", {"image/pixel_values/0": torch.tensor([0.0, pixels])})
    record = {**RECORD, "arrays": "o.safetensors", "pixel_arrays": "p.safetensors", **changes}
    return Loaded(saved(folder), stack, Trace(folder / stack, HEADER, reload=[record]), 1.0)


def judged(folder: Path, **changes: Any) -> Cell:
    cell = other_cell(load(folder, "new", **changes), load(folder, "old"))
    assert (cell.recipe, cell.saved_under, cell.loaded_under) == ("s/full", "old", "new")
    return cell


def test_nothing_lost(tmp_path: Path) -> None:
    cell = judged(tmp_path, tokenizer_class="TokenizersBackend")

    assert (cell.outcome, cell.status, cell.largest, cell.differing) == (Outcome.LOADS, Status.PASSED, None, ())


def test_other_names_in_memory_are_no_difference(tmp_path: Path) -> None:
    assert judged(tmp_path, fingerprints={"a.weight": "1", "model.b.weight": "2"}).outcome is Outcome.LOADS


def test_a_difference_within_the_tolerance_is_told(tmp_path: Path) -> None:
    cell = judged(tmp_path, logits=1.0 + 2e-5)

    assert cell.outcome is Outcome.LOADS
    assert cell.largest is not None
    assert cell.largest.field == "logits"
    assert cell.largest.absolute == pytest.approx(2e-5, rel=0.01)


@pytest.mark.parametrize(
    ("changes", "first", "differing"),
    [
        ({"logits": 1.0 + 2e-4}, "logits", ("logits",)),
        ({"pixels": 0.06}, "pixels", ("pixels",)),
        (
            {"encoded": {"image": {"input_ids": "u", "pixel_values": "p"}}, "logits": 2.0},
            "tokens",
            ("tokens", "logits"),
        ),
        ({"chat_template": "d"}, "chat template", ("chat template",)),
        ({"fingerprints": {"a.weight": "1", "b.weight": "9"}}, "weights", ("weights",)),
        ({"fingerprints": {"a.weight": "1"}}, "weights", ("weights",)),
        ({"generated": {"image": [1, 3]}}, "generated ids", ("generated ids",)),
    ],
)
def test_each_field_that_differs(tmp_path: Path, changes: Any, first: str, differing: tuple[str, ...]) -> None:
    cell = judged(tmp_path, **changes)

    assert (cell.outcome, cell.differing) == (Outcome.OUTPUTS_DIFFER, differing)
    assert cell.largest is not None
    assert cell.largest.field == first


@pytest.mark.parametrize(
    ("changes", "kind", "names"),
    [
        ({"missing": ["model.a.weight"]}, "missing", ("a.weight",)),
        ({"unexpected": ["model.c.weight"]}, "unexpected", ("model.c.weight",)),
        ({"mismatched": ["('model.a.weight', 1, 2)"]}, "mismatched", ("('model.a.weight', 1, 2)",)),
    ],
)
def test_keys_lost_by_name(tmp_path: Path, changes: Any, kind: str, names: tuple[str, ...]) -> None:
    cell = judged(tmp_path, **changes, logits=3.0)

    assert cell.outcome is Outcome.KEYS_LOST
    assert getattr(cell, kind) == names
    assert cell.largest is not None
    assert (cell.largest.field, cell.largest.absolute) == ("logits", 2.0)


def test_what_peft_warns_of_is_lost(tmp_path: Path) -> None:
    changed = {"a.weight": "1", "b.weight": "9"}
    cell = judged(tmp_path, adapter_warnings=["Found missing adapter keys"], fingerprints=changed)

    assert (cell.outcome, cell.missing) == (Outcome.KEYS_LOST, ("b.weight",))


def test_what_its_own_stack_misses_is_not_lost_elsewhere(tmp_path: Path) -> None:
    own = load(tmp_path, "old", missing=["model.a.weight"], vocabulary_error="E")

    assert other_cell(load(tmp_path, "new", missing=["a.weight"], vocabulary_error="E"), own).outcome is Outcome.LOADS


@pytest.mark.parametrize("part", ["tokenizer", "model", "outputs", "vocabulary", "processor"])
def test_an_error_goes_before_all_else(tmp_path: Path, part: str) -> None:
    cell = judged(tmp_path, **{f"{part}_error": "ValueError: no"}, missing=["a.weight"])

    assert (cell.outcome, cell.error) == (Outcome.ERROR, f"{part}: ValueError: no")
    assert cell.missing == ("a.weight",)


@pytest.mark.parametrize(
    ("said", "early", "word"),
    [
        ("ImportError: cannot import name 'X' from 'transformers' (in stage build)", True, Outcome.NOT_APPLICABLE),
        ("AttributeError: module 'transformers' has no attribute 'X'", True, Outcome.NOT_APPLICABLE),
        ("TypeError: LoraConfig.__init__() got an unexpected keyword argument 'x'", True, Outcome.NOT_APPLICABLE),
        ("ImportError: cannot import name 'X' from 'transformers' (in stage train)", False, Outcome.ERROR),
        ("AttributeError: 'LlavaProcessor' object has no attribute 'y'", True, Outcome.ERROR),
        ("RuntimeError: shapes", True, Outcome.ERROR),
    ],
)
def test_a_stack_that_lacks_something_is_told_from_one_that_fails(
    tmp_path: Path, said: str, early: bool, word: Outcome
) -> None:
    cell = not_saved(_failed(WANTED, "old", tmp_path, said, early), "new")

    assert cell.outcome is word
    assert said in cell.reason + cell.error


def test_cells_come_by_the_stack_that_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "_own_results", lambda loaded: [])
    old, new = saved(tmp_path), replace(saved(tmp_path), stack="new", trace=None, lacking="ImportError: x")
    loads = [load(tmp_path, "old"), load(tmp_path, "new", missing=["a.weight"])]
    cells = cells_of(["old", "new"], {"old": [old], "new": [new]}, loads)

    assert [(one.saved_under, one.loaded_under, one.outcome) for one in cells] == [
        ("old", "old", Outcome.LOADS),
        ("old", "new", Outcome.KEYS_LOST),
        ("new", "old", Outcome.NOT_APPLICABLE),
        ("new", "new", Outcome.NOT_APPLICABLE),
    ]


def test_what_its_own_stack_cannot_load_is_held_against_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "_own_results", lambda loaded: [])
    loads = [load(tmp_path, "old", model_error="OSError: gone"), load(tmp_path, "new")]
    cells = cells_of(["old", "new"], {"old": [saved(tmp_path)], "new": []}, loads)

    assert [one.outcome for one in cells] == [Outcome.ERROR, Outcome.ERROR]
    assert cells[1].error == "nothing to compare with: its own stack does not load it (model: OSError: gone)"


@pytest.mark.parametrize("base", ["bases", "elsewhere"])
def test_an_adapter_is_laid_over_the_base_of_the_stack_that_loads(tmp_path: Path, base: str) -> None:
    """If that is the family's own, which each stack writes for itself."""
    own, other = tmp_path / "old" / base / "llava", tmp_path / "new" / base / "llava"
    one = replace(saved(tmp_path), base=own)
    (one.run / RELOAD).mkdir(parents=True)
    (one.run / SAVED).mkdir()
    (one.run / RELOAD / REQUEST).write_text(json.dumps({"base": str(own)}))
    (one.run / SAVED / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(own)}))
    (one.run / SAVED / "adapter_model.safetensors").write_bytes(b"x")
    asked = _job(one, tmp_path / "load", tmp_path / "stream", other).argument
    said = json.loads((Path(asked["directory"]) / "adapter_config.json").read_text())

    expected = other if base == "bases" else own
    assert asked["base"] == said["base_model_name_or_path"] == str(expected)
    assert (Path(asked["directory"]) / "adapter_model.safetensors").exists()
    assert (Path(asked["directory"]) == one.run / SAVED) is (base == "elsewhere")
    assert json.loads((one.run / SAVED / "adapter_config.json").read_text())["base_model_name_or_path"] == str(own)


def test_a_directory_that_names_no_base_is_loaded_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "config.json").write_text("{}")

    assert _over(tmp_path / "saved", Path("/a"), Path("/b"), tmp_path / "copy") == tmp_path / "saved"


def test_what_a_family_refuses_under_old_libraries_is_lacking_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(recipe: Recipe) -> None:
        raise Refused("llava-9 needs transformers 5.1, and 4.45.2 is installed", do="pip install 'transformers>=5.1'")

    monkeypatch.setattr(saving, "check_possible", refuse)
    runner = Runner(None, tmp_path)  # type: ignore[arg-type]
    cell = not_saved(saving._saved(runner, "old", WANTED), "new")

    assert (cell.outcome, cell.status) == (Outcome.NOT_APPLICABLE, Status.NOT_APPLICABLE)
    assert cell.reason.startswith("old cannot make it: llava-9 needs transformers 5.1")


def test_a_base_that_cannot_be_written_is_the_stack_s_own_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Runner, recipe_id: str, run: Any, directory: Path) -> Trace:
        raise Refused("the base of llava could not be written (exited with status 1): RuntimeError: shapes")

    monkeypatch.setattr(Runner, "make", fail)
    cell = not_saved(saving._saved(Runner(Workers(None, None), tmp_path), "old", WANTED), "new")  # type: ignore[arg-type]

    assert cell.outcome is Outcome.ERROR
    assert cell.error.startswith("not saved under old: the base of llava could not be written")
