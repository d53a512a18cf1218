"""`harness inspect --repair`: a completed copy, and when there is none."""

from __future__ import annotations

import json
import shlex
import shutil

from tests.checkpoint.directories import LAYERS, tensors, write
from tests.cli.conftest import PROCESSOR


def test_what_it_says_to_do_does_it(call, saved, base) -> None:
    (finding, *_) = json.loads(call("inspect", saved, "--base", base, "--json").out)["findings"]

    ran = call(*shlex.split(finding["do"])[1:])

    assert ran.status == 0
    assert "preprocessor_config.json  copied from" in ran.out
    repaired = saved.with_name("saved-repaired")
    assert f"{repaired}: completed" in ran.out
    assert all((repaired / name).read_bytes() == (base / name).read_bytes() for name in PROCESSOR)
    assert call("inspect", repaired, "--base", base).status == 0
    assert not (saved / PROCESSOR[0]).exists(), "the original is left as it was"


def test_what_repair_cannot_do_is_left_and_said(call, saved, base) -> None:
    write(saved, "tokenizer_config.json", {"eos_token": "</s>"})

    ran = call("inspect", saved, "--base", base, "--repair")
    assert ran.status == 1
    assert "FAILED  chat template" in ran.out
    assert "apply_chat_template will refuse every conversation: no file plays this role" in ran.out
    assert "tokenizer_config.json is there without it: take the entry over from" in ran.out
    assert ran.out.splitlines()[-1] == "3 tensors in 1 files, 1 problem"


def test_an_adapter_without_what_prepares_its_inputs_is_repaired(call, adapter, base) -> None:
    for name in PROCESSOR:
        (adapter / name).unlink()

    assert "AutoProcessor will fall back to the tokenizer" in call("inspect", adapter, "--base", base).out
    assert call("inspect", adapter, "--base", base, "--repair").status == 0
    assert not (adapter / "config.json").exists()


def test_nothing_is_copied_to_an_adapter_from_a_base_that_it_does_not_fit(call, adapter, base) -> None:
    for name in PROCESSOR:
        (adapter / name).unlink()
    tensors(base, "model.safetensors", {f"{path}.weight": (4, 4) for path in LAYERS})
    before = sorted(adapter.iterdir())

    shown = json.loads(call("inspect", adapter, "--base", base, "--repair", "--json").out)
    assert [finding["kind"] for finding in shown["findings"]] == ["AdapterMisfit"]
    assert shown["copied"] == []
    assert sorted(adapter.iterdir()) == before


def test_nothing_is_copied_from_the_base_of_another_model(call, saved, base) -> None:
    content = json.loads((base / "config.json").read_text())
    write(base, "config.json", {**content, "model_type": "other"})
    before = sorted(saved.iterdir())

    ran = call("inspect", saved, "--base", base, "--repair")
    assert ran.status == 1
    assert "FAILED  model" in ran.out
    assert f"  expected  a model of type other, as in {base}" in ran.out
    assert ran.out.splitlines()[-1] == "3 tensors in 1 files, 1 problem"
    assert sorted(saved.iterdir()) == before


def test_repairing_needs_a_base_that_is_a_directory_and_another(call, saved, base) -> None:
    assert call("inspect", saved, "--repair").refusal == (
        "--repair copies from a base directory, and no index of shards is missing; name the base with --base DIR"
    )
    assert "no such directory; name the base directory with --base" in (
        call("inspect", saved, "--base", base / "gone").refusal
    )
    assert "no such directory" in call("inspect", saved, "--base", base / "config.json").refusal
    assert (
        "is the checkpoint itself" in call("inspect", saved, "--base", saved.parent / "base" / ".." / "saved").refusal
    )


def test_a_damaged_file_of_the_base_is_one_line_and_nothing_is_copied(call, saved, base) -> None:
    write(base, "preprocessor_config.json", "{")

    line = call("inspect", saved, "--base", base, "--repair").refusal
    assert f"{base / 'preprocessor_config.json'}: is damaged: it is no JSON object" in line
    assert not (saved / "preprocessor_config.json").exists()


def test_a_damaged_file_of_the_checkpoint_is_a_problem_and_nothing_is_copied(call, saved, base) -> None:
    write(saved, "tokenizer_config.json", "{")

    ran = call("inspect", saved, "--base", base, "--repair")
    assert ran.status == 1
    assert "FAILED  readable" in ran.out
    assert f"  where     {saved / 'tokenizer_config.json'}" in ran.out
    assert "nothing that is missing can be copied: no copy was made" in ran.out
    assert not (saved / "preprocessor_config.json").exists()
    assert not saved.with_name("saved-repaired").exists()


def test_an_index_that_is_missing_is_written_without_any_base(call, saved) -> None:
    tensors(saved, "model-00001-of-00002.safetensors", {"a": (2,)})
    tensors(saved, "model-00002-of-00002.safetensors", {"b": (2,)})
    (saved / "model.safetensors").unlink()
    index = saved / "model.safetensors.index.json"
    places = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}

    before = call("inspect", saved)
    ran = call("inspect", saved, "--repair", "--in-place")

    assert before.status == 1
    assert "shards and no index (model.safetensors.index.json): from_pretrained finds none" in before.out
    assert ran.status == 0
    assert "model.safetensors.index.json: written from the shards' own keys" in ran.out
    assert json.loads(index.read_text())["weight_map"] == places


def test_the_copy_goes_where_it_is_told_and_never_over_anything(call, saved, base, tmp_path) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    out = tmp_path / "out" / "whole"

    ran = call("inspect", saved, "--base", base, "--repair", "--out", out)
    assert ran.status == 0
    assert ran.out.splitlines()[-2:] == [f"{out}: completed", "3 tensors in 1 files"]
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert {path.name for path in base.iterdir()} <= {path.name for path in out.iterdir()}
    assert call("inspect", out, "--base", base).status == 0
    again = call("inspect", saved, "--base", base, "--repair", "--out", out).refusal
    assert "there is something already; name another place with --out, or remove it" in again
    inside = call("inspect", saved, "--base", base, "--repair", "--out", saved / "whole").refusal
    assert "lies in the checkpoint itself" in inside


def test_the_directory_itself_is_completed_where_that_is_asked(call, saved, base) -> None:
    ran = call("inspect", saved, "--base", base, "--repair", "--in-place")

    assert ran.status == 0
    assert f"{saved}: completed" in ran.out
    assert not saved.with_name("saved-repaired").exists()
    assert all((saved / name).read_bytes() == (base / name).read_bytes() for name in PROCESSOR)


def test_what_is_whole_is_not_copied(call, base, tmp_path) -> None:
    shutil.copytree(base, tmp_path / "copy")

    ran = call("inspect", tmp_path / "copy", "--base", base, "--repair")
    assert ran.status == 0
    assert "nothing that is missing can be copied: no copy was made" in ran.out
    assert not (tmp_path / "copy-repaired").exists()
