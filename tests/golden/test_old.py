"""Goldens of other stacks: the committed ones hold, what is damaged or of no known stack fails by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load, save

from harness.golden.index import INDEX, STACKS
from harness.golden.stacks import shelves
from harness.refusal import Refused
from tests.golden.conftest import Files, Place, Ran, edited

ROOT = Path(__file__).parent.parent.parent
SHIPPED = ROOT / "golden"
OLD = "5.0"  # the stack whose golden is damaged here: nothing of it is known not to agree
RECIPE = "llava/lora-qv[fp32]"
NAME = f"{RECIPE}@{OLD}"
SAVED = "saved/adapter_model.safetensors"


@pytest.fixture
def old(tmp_path: Path, call: Callable[..., Ran]) -> Place:
    """The shipped goldens of one old stack, in a folder of goldens that has no others. Its `golden` is the stack's."""
    top = tmp_path / "golden"
    shutil.copytree(SHIPPED / STACKS / OLD, top / STACKS / OLD)
    (top / INDEX).write_text(json.dumps({"format": 1, "goldens": {}}))
    (tmp_path / "suites").symlink_to(ROOT / "suites")

    class OfStack(Place):
        golden = top / STACKS / OLD

        def verify(self, *arguments: object) -> Ran:
            return self.call("golden", "verify", *arguments, "--golden", top)

    return OfStack(tmp_path, call)


def in_saved(files: Files, change: Callable[[dict], dict]) -> None:
    files[SAVED] = save(change(load(files[SAVED])), metadata={"format": "pt"})


def test_there_are_three_stacks_of_both_kinds():
    kinds = {
        shelf.stack: {entry.saves for entry in shelf.goldens.values()} for shelf in shelves(SHIPPED) if shelf.stack
    }
    assert sum(saves >= {"full", "adapter"} for saves in kinds.values()) >= 3
    versions = [shelf.versions["transformers"] for shelf in shelves(SHIPPED) if shelf.versions]
    assert any(text.startswith("4.4") for text in versions)
    assert any(text.startswith("5.") for text in versions)


def test_an_adapter_of_every_old_stack_holds(call: Callable[..., Ran]) -> None:
    names = [f"{RECIPE}@{shelf.stack}" for shelf in shelves(SHIPPED) if shelf.stack]
    asked = [word for name in names for word in ("--recipe", name)]
    ran = call("golden", "verify", *asked, "--golden", SHIPPED, "--json")
    found = {one["recipe_id"]: one for one in json.loads(ran.out)}
    assert {name: one["drifts"] for name, one in found.items()} == {name: [] for name in names}
    assert ran.status == 0
    assert found[f"{RECIPE}@5.0"]["by_rule"] == {}
    assert not found[f"{RECIPE}@5.0"]["excused"]
    assert found[f"{RECIPE}@4.45"]["by_rule"]["keys of an adapter have the model's new names"] == 24
    assert [one["link"].rpartition("/")[2] for one in found[f"{RECIPE}@4.45"]["excused"]] == ["36002", "2574"]


def test_a_renamed_key_of_an_old_checkpoint_is_found(old: Place) -> None:
    key = "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_B.weight"
    old.alter(
        RECIPE, lambda files: in_saved(files, lambda t: {n.replace(key, f"other.{key}"): v for n, v in t.items()})
    )
    found = old.found(NAME)
    assert found["status"] == "drifted"
    assert "loads" in [one["aspect"] for one in found["drifts"]]
    assert "layers.0.self_attn.q_proj" in next(one["first"] for one in found["drifts"] if one["aspect"] == "loads")
    assert found["change"]["triage"].startswith(("environment changed", "both environment"))


def test_an_altered_tensor_of_an_old_checkpoint_is_found(old: Place) -> None:
    def change(tensors: dict) -> dict:
        key = next(name for name in sorted(tensors) if "lora_B" in name)
        tensors[key] = tensors[key].copy()
        tensors[key].flat[0] += 1e-6
        return tensors

    old.alter(RECIPE, lambda files: in_saved(files, change))
    found = old.found(NAME)
    assert [one["aspect"] for one in found["drifts"]] == ["loads"]
    assert "loaded weights" in found["drifts"][0]["first"]
    assert "lora_B" in found["drifts"][0]["first"]


@pytest.mark.parametrize(("share", "status"), [(0.5, "holds"), (2, "drifted")])
def test_logits_of_an_old_checkpoint_have_a_tolerance(old: Place, share: float, status: str) -> None:
    def change(files: Files) -> None:
        file = "trace/reload/arrays-000.safetensors"
        largest = abs(load(files[file])["image"]).max()
        edited(
            files, file, "image", lambda values: values.__setitem__(abs(values).argmax(), largest * (1 + share * 5e-5))
        )

    old.alter(RECIPE, change)
    found = old.found(NAME)
    assert found["status"] == status
    assert [one["aspect"] for one in found["drifts"]] == (["logits"] if status == "drifted" else [])


def test_a_folder_that_does_not_say_its_stack_is_refused_by_name(old: Place) -> None:
    index = json.loads((old.golden / INDEX).read_text())
    del index["stack"]
    (old.golden / INDEX).write_text(json.dumps(index))
    ran = old.verify()
    assert ran.status == 2
    assert f"stacks/{OLD}: does not say which libraries the goldens of stack {OLD} were pinned under" in ran.err


def test_a_folder_without_an_index_is_refused_by_name(old: Place) -> None:
    (old.golden / INDEX).unlink()
    ran = old.verify()
    assert ran.status == 2
    assert f"stacks/{OLD}: holds no goldens" in ran.err


def test_a_golden_of_other_libraries_than_its_folder_says(old: Place) -> None:
    index = json.loads((old.golden / INDEX).read_text())
    index["stack"]["peft"] = "0.99.0"
    (old.golden / INDEX).write_text(json.dumps(index))
    found = old.found(NAME)
    assert found["status"] == "unreadable"
    assert "was pinned under peft 0.18.1 and not 0.99.0" in found["reason"]


def test_goldens_of_a_stack_are_no_goldens_of_one_s_own(old: Place) -> None:
    with pytest.raises(Refused, match="holds goldens of another stack"):
        shelves(old.golden)


def test_report_names_the_stack(old: Place) -> None:
    ran = old.call("golden", "report", "--golden", old.golden.parent.parent)
    assert ran.status == 0
    assert f"{NAME} " in ran.out
    assert "transformers 5.0.0" in ran.out
    said = json.loads(old.call("golden", "report", "--golden", old.golden.parent.parent, "--json").out)
    assert {one["stack"] for one in said["goldens"]} == {OLD}


def test_what_is_pinned_below_the_goldens_is_of_the_libraries_in_force(pinned: Place) -> None:
    from harness import stack

    below = pinned.golden / STACKS / "here"
    suite = pinned.folder / "pair.yaml"
    ran = pinned.call("golden", "pin", suite, "--recipe", "lora", "--golden", below)
    assert ran.status == 0, ran
    assert json.loads((below / INDEX).read_text())["stack"] == stack.versions()
    assert [shelf.stack for shelf in shelves(pinned.golden)] == ["", "here"]
    ran = pinned.verify("--recipe", "pair/lora@here")
    assert "pair/lora@here    holds: bit for bit" in ran.out

    index = json.loads((below / INDEX).read_text())
    index["stack"]["transformers"] = "4.0.0"
    (below / INDEX).write_text(json.dumps(index))
    pinned.call("golden", "pin", suite, "--recipe", "connector", "--golden", below)
    assert list(json.loads((below / INDEX).read_text())["goldens"]) == ["pair/connector"], "a folder is of one stack"


def test_goldens_of_all_stacks_count_for_the_size(pinned: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    import harness.golden.index

    held = sum(path.stat().st_size for path in pinned.golden.rglob("*"))
    monkeypatch.setattr(harness.golden.index, "MOST_BYTES", held + 1000)
    below = pinned.golden / STACKS / "here"
    ran = pinned.call("golden", "pin", pinned.folder / "pair.yaml", "--recipe", "lora", "--golden", below)
    assert ran.status == 2
    assert f"{pinned.golden}: would come to" in ran.err


def test_a_stack_that_the_file_does_not_have_is_refused(call: Callable[..., Ran]) -> None:
    stacks = ROOT / "suites" / "compat" / "stacks.yaml"
    ran = call("golden", "stacks", ROOT / "suites" / "llava.yaml", "--stacks", stacks, "--stack", "4.75")
    assert ran.status == 2
    assert "no stack '4.75'" in ran.err
    assert "did you mean 4.57?" in ran.err


def test_the_shipped_goldens_of_other_stacks_are_whole_and_of_committed_trees():
    from harness.golden.index import is_whole, strays

    for shelf in shelves(SHIPPED):
        assert all(is_whole(shelf.folder, one) and one.commit and not one.dirty for one in shelf.goldens.values())
        assert strays(shelf.folder, shelf.goldens.values()) == ([], [])


def test_the_session_pins_what_is_shipped_and_the_page_names_its_stacks():
    import ast

    assigned = (node for node in ast.parse((ROOT / "noxfile.py").read_text()).body if isinstance(node, ast.Assign))
    table = next(
        ast.literal_eval(node.value) for node in assigned if getattr(node.targets[0], "id", "") == "OLD_GOLDENS"
    )
    asked = {(stack, name) for name, stacks in table.items() for stack in stacks}
    there = {
        (shelf.stack, name.partition("/")[2]) for shelf in shelves(SHIPPED) if shelf.stack for name in shelf.goldens
    }
    assert asked == there
    page = (ROOT / "docs" / "stacks.md").read_text()
    assert all(str(shelf.versions["transformers"]) in page for shelf in shelves(SHIPPED) if shelf.versions)
