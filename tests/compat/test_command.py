"""`harness compat` over two real stacks: what loses a key without an exception is said to, and what raises."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.main import status_of
from harness.compat.matrix import Workshop
from harness.compat.saving import Wanted
from harness.compat_table import Cell, CompatTable, Outcome, Stack
from harness.result import Status
from harness.stacks import Layered
from tests.compat.conftest import HIDDEN

KNOWN = """
- check: compat.keys
  recipe: pair/full saved under here, loaded under there
  reason: the files of that version seem to lack a key
  link: https://github.com/huggingface/safetensors/issues/309
  expires: 2099-01-01
- check: compat.keys
  recipe: pair/* saved under nowhere, loaded under *
  reason: there is no such stack
  link: https://github.com/huggingface/safetensors/issues/309
  expires: 2099-01-01
"""


def loads(saved: str, loaded: str) -> Cell:
    place = {"recipe": "pair/full", "saved_under": saved, "loaded_under": loaded}
    return Cell(**place, outcome=Outcome.LOADS, status=Status.PASSED)


def test_what_is_lost_between_two_stacks(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "known_failures.yaml").write_text(KNOWN)
    status = status_of(["compat", "pair.yaml", "--out", "out", "-n", "2"])
    shown = capsys.readouterr().out
    table = CompatTable.read(place / "out" / "compat.json")
    cells = {(cell.recipe[5:], cell.saved_under, cell.loaded_under): cell for cell in table.cells}

    assert status == 1
    assert cells["full", "here", "here"].outcome is cells["lora", "here", "here"].outcome is Outcome.LOADS

    lost = cells["full", "here", "there"]
    assert (lost.outcome, lost.status, lost.error) == (Outcome.KEYS_LOST, Status.KNOWN_FAILURE, "")
    assert lost.missing == (HIDDEN,)
    assert set(lost.differing) >= {"weights", "logits"}
    assert lost.largest is not None
    assert lost.largest.field == "logits"
    assert lost.largest.absolute > 1e-3

    raised = cells["lora", "here", "there"]
    assert (raised.outcome, raised.status) == (Outcome.ERROR, Status.FAILED)
    assert raised.error == "model: ImportError: adapters are out of stock"

    unmade = cells["lora", "there", "here"]
    assert unmade.outcome is Outcome.NOT_APPLICABLE
    assert unmade.reason.startswith("there cannot make it: ImportError: adapters are out of stock")
    assert cells["full", "there", "there"].outcome is Outcome.KEYS_LOST, "its own files, too"

    assert [stack.versions["safetensors"] for stack in table.stacks][1] == "98.0"
    assert "K 1 key lost, known" in shown
    assert "FAILED  pair/lora saved under here, loaded under there\n  outcome    error\n" in shown
    assert "again      harness compat pair.yaml --recipe lora --out out --stack here --stack there" in shown
    assert (
        "FAILED  the known failure compat.keys of pair/* saved under nowhere, loaded under * matches nothing" in shown
    )
    assert shown.rstrip().splitlines()[-1].startswith("2 recipes x 2 stacks: ")


def test_a_selection_as_json(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a part nobody can tell whether a known failure is dead. The runs themselves are left out."""

    def alone(workshop: Workshop, stacks: list[Layered], wanted: list[Wanted]) -> CompatTable:
        assert ([stack.name for stack in stacks], [one.recipe_id for one in wanted]) == (["here"], ["pair/full"])
        return CompatTable(
            stacks=(Stack(name="here", asked={}),), recipes=("pair/full",), cells=(loads("here", "here"),)
        )

    monkeypatch.setattr("harness.compat.matrix.table_of", alone)
    (place / "known_failures.yaml").write_text(KNOWN)
    status = status_of(["compat", ".", "--recipe", "full", "--stack", "here", "--out", "out", "--json"])
    data = json.loads(capsys.readouterr().out)

    assert status == 0
    assert data.pop("unused_known_failures") == []
    assert CompatTable.model_validate(data) == CompatTable.read(place / "out" / "compat.json")
    assert [(cell["outcome"], cell["status"]) for cell in data["cells"]] == [("loads", "passed")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pair.yaml", "--recipe", "ful"], "harness: no recipe 'ful'; did you mean full?"),
        (["pair.yaml", "--stack", "her"], "harness: no stack 'her'; did you mean here?"),
        (["pair.yaml", "--stacks", "none.yaml"], "harness: none.yaml: cannot be read: No such file or directory"),
        (["nothing.yaml"], "harness: nothing.yaml: saves nothing, and what is saved is to be loaded"),
        (["pair.yaml", "--out", "full"], "harness: full: holds files that are not the harness's; name a new"),
        (["pair.yaml", "-n", "0"], "harness: Invalid value for '-n'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    place: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "nothing.yaml").write_text(
        "family: llava-1.5-7b\nrecipes: {a: {tune: [connector], save: {what: nothing}}}\n"
    )
    (place / "full").mkdir()
    (place / "full" / "mine").write_text("x")
    if "nothing.yaml" in arguments:
        said = said.replace("nothing.yaml: ", "nothing.yaml: a: ")
    status = status_of(["compat", *arguments])
    err = capsys.readouterr().err

    assert status == 2
    assert err.startswith(said)
    assert err.count("\n") == 1
