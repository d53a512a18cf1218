"""Each kind of drift is found by its name and place, and told apart by who may have caused it."""

from __future__ import annotations

import json
import os

import pytest

from harness.comparator.tolerances import BITWISE, FP32
from harness.golden.drift import ASPECTS
from harness.golden.seen import PIXELS, with_inputs_and_loads
from harness.recipe import Recipe
from tests.golden.conftest import Files, Place, as_json, edited, events

CONNECTOR, LORA = "pair/connector", "pair/lora"
STREAM, RELOAD = "trace/rank-0/events.jsonl", "trace/reload/events.jsonl"
LOGITS, LOADED = "trace/rank-0/arrays-001.safetensors", "trace/reload/arrays-000.safetensors"
INPUTS = "reload/inputs.safetensors"
NEITHER = "neither code nor environment changed"


def drift(found: dict, aspect: str) -> str:
    """The first place of the one aspect that drifted."""
    assert found["status"] == "drifted", found
    return next(one["first"] for one in found["drifts"] if one["aspect"] == aspect)


def aspects(found: dict) -> list[str]:
    return [one["aspect"] for one in found["drifts"]]


def other_environment(files: Files) -> None:
    """As if it had been pinned with three threads."""
    for file in ("provenance.json", "trace/header.json"):
        as_json(files, file, lambda value: value["environment"].update(threads=3))


def other_code(files: Files) -> None:
    as_json(files, "provenance.json", lambda value: value["code"].update({"tuning.py": "0" * 16}))


def test_what_was_just_pinned_holds_bit_for_bit(pinned: Place) -> None:
    ran = pinned.verify()

    assert (ran.status, ran.err) == (0, "")
    assert "pair/connector    holds: bit for bit" in ran.out
    assert "pair/lora         holds: bit for bit" in ran.out
    assert ran.out.splitlines()[-1].startswith("2 goldens: 2 hold    ")


def test_pinned_again_it_is_the_same_golden(pinned: Place) -> None:
    before = [pinned.entry(name) for name in (CONNECTOR, LORA)]

    assert pinned.pin("--dirty").status == 0
    assert [pinned.entry(name) for name in (CONNECTOR, LORA)] == before


def test_one_weight_of_the_old_checkpoint(pinned: Place) -> None:
    def change(files: Files) -> None:
        edited(files, "saved/adapter_model.safetensors", _lora_b(files), lambda values: values.__setitem__(3, 7.0))

    pinned.alter(LORA, change)
    found = pinned.found(LORA)

    assert aspects(found) == ["loads", "logits"]
    assert "loaded weights at " in drift(found, "loads")
    assert "q_proj" in drift(found, "loads")
    assert "outputs of the old checkpoint" in drift(found, "logits") or "generated" in drift(found, "logits")
    assert found["change"]["triage"] == NEITHER


def test_one_logit_of_the_trained_model(pinned: Place) -> None:
    pinned.alter(CONNECTOR, lambda files: edited(files, LOGITS, "image", lambda v: v.__setitem__(5, v[5] + 1e-3)))
    found = pinned.found(CONNECTOR)

    assert aspects(found) == ["logits"]
    assert drift(found, "logits").startswith("outputs at image: different: ")
    assert "at element 5" in drift(found, "logits")


def test_a_key_that_the_old_checkpoint_lacks_is_named(pinned: Place) -> None:
    key = "language_model.model.norm.weight"

    def change(files: Files) -> None:
        (shard,) = (n for n in files if n.startswith("saved/model-") and key.encode() in files[n][:20000])
        _rename(files, shard, key, "language_model.model.nwrm.weight")

    pinned.alter(CONNECTOR, change)
    found = pinned.found(CONNECTOR)

    assert found["drifts"][0]["aspect"] in ("loads", "logits")
    loads = drift(found, "loads")
    assert loads.startswith("missing keys at "), loads
    assert "norm.weight" in loads
    said = pinned.verify("--recipe", CONNECTOR).out
    assert "not missing and missing" in said


def test_one_file_that_is_saved_no_longer(pinned: Place) -> None:
    def change(record: dict) -> None:
        record["files"]["sampler.json"] = {"bytes": 2, "digest": "0" * 32}

    pinned.alter(CONNECTOR, lambda files: events(files, RELOAD, "inventory", change))
    found = pinned.found(CONNECTOR)

    assert aspects(found) == ["files"]
    assert drift(found, "files").startswith("saved file at sampler.json: missing: ")


def test_one_token(pinned: Place) -> None:
    pinned.alter(LORA, lambda files: edited(files, INPUTS, "text/a/input_ids", lambda v: v.__setitem__(1, 9)))
    found = pinned.found(LORA)

    assert aspects(found)[0] == "tokens"
    assert drift(found, "tokens").startswith("input tokens at text/a/input_ids")
    assert "outputs of the old checkpoint at text" in drift(found, "logits")


def test_one_sample_of_the_data(pinned: Place) -> None:
    pinned.alter(LORA, lambda f: events(f, STREAM, "data", lambda r: r["fingerprints"][1].__setitem__(0, "0" * 16)))
    found = pinned.found(LORA)

    assert aspects(found) == ["tokens"]
    assert drift(found, "tokens").startswith("tokens at sample 2 (")


def test_one_pixel(pinned: Place) -> None:
    pinned.alter(LORA, lambda f: edited(f, INPUTS, "image/a/pixel_values", lambda v: v.__setitem__(7, v[7] + 1)))

    assert drift(pinned.found(LORA), "pixels").startswith("input pixels at image/a/pixel_values: different")


@pytest.mark.parametrize(
    ("kind", "field", "aspect"),
    [
        ("backward", lambda r: r.update(value=r["value"] + 1e-6), "loss"),
        ("gradients", lambda r: r["norm"].__setitem__(_last_number(r["norm"]), 0.25), "gradients"),
        ("optimizer_step", lambda r: _values(r)["fingerprint"].__setitem__(0, "0" * 16), "weights"),
    ],
    ids=["loss", "gradients", "weights"],
)
def test_a_step_is_named(pinned: Place, kind: str, field: object, aspect: str) -> None:
    pinned.alter(CONNECTOR, lambda files: events(files, STREAM, kind, field))  # type: ignore[arg-type]
    found = pinned.found(CONNECTOR)

    assert aspects(found) == [aspect]
    assert " at step 0, micro-batch " in drift(found, aspect)


def test_environment_changed_and_code_did_not(pinned: Place) -> None:
    def change(files: Files) -> None:
        other_environment(files)
        as_json(files, "provenance.json", lambda value: value["libraries"].update(pillow="1.0"))
        events(files, STREAM, "optimizer_step", lambda r: r.update(skipped=True))

    pinned.alter(CONNECTOR, change)
    found = pinned.found(CONNECTOR)

    assert found["change"]["triage"] == "environment changed, code did not"
    assert "threads: 3 and 1" in found["change"]["environment"]
    assert any(line.startswith("pillow: 1.0 and ") for line in found["change"]["environment"])
    assert drift(found, "weights").startswith("skipped at step 0")


def test_code_changed_and_environment_did_not(pinned: Place) -> None:
    def change(files: Files) -> None:
        other_code(files)
        events(files, STREAM, "optimizer_step", lambda r: r.update(skipped=True))

    pinned.alter(CONNECTOR, change)
    said = pinned.verify("--recipe", CONNECTOR).out

    assert "triage    code changed, environment did not" in said
    assert "code      tuning.py since" in said
    assert "first     skipped at step 0" in said
    assert "harness golden verify --recipe pair/connector --golden " in said


def test_both_changed(pinned: Place) -> None:
    def change(files: Files) -> None:
        other_code(files)
        other_environment(files)
        events(files, STREAM, "optimizer_step", lambda r: r.update(skipped=True))

    pinned.alter(CONNECTOR, change)

    assert pinned.found(CONNECTOR)["change"]["triage"] == "both environment and code changed"


def test_what_changed_around_a_golden_that_holds_is_no_drift(pinned: Place) -> None:
    pinned.alter(CONNECTOR, other_code)

    assert pinned.found(CONNECTOR)["status"] == "holds"


def _off_by(share: float, file: str, name: str) -> object:
    """A change of one logit, in a golden of another environment, by so much of what is allowed."""
    limit = FP32.of["outputs"].relative * share

    def change(files: Files) -> None:
        other_environment(files)
        edited(files, file, name, lambda v: v.__setitem__(5, v[5] + limit * abs(v).max()))

    return change


@pytest.mark.parametrize("file", [LOGITS, LOADED], ids=["trained", "old checkpoint"])
@pytest.mark.parametrize(("share", "status"), [(0.9, "holds"), (2.0, "drifted")])
def test_on_another_stack_logits_have_a_tolerance(pinned: Place, file: str, share: float, status: str) -> None:
    pinned.alter(CONNECTOR, _off_by(share, file, "image"))  # type: ignore[arg-type]
    found = pinned.found(CONNECTOR)

    assert found["status"] == status
    assert found["tolerances"] == FP32.name
    assert aspects(found) == ([] if status == "holds" else ["logits"])


@pytest.mark.parametrize(("share", "status"), [(0.9, "holds"), (2.0, "drifted")])
def test_on_another_stack_pixels_have_a_tolerance(pinned: Place, share: float, status: str) -> None:
    limit = with_inputs_and_loads(FP32).of[PIXELS].absolute * share

    def change(files: Files) -> None:
        other_environment(files)
        # The inputs of then are what the old checkpoint is tried on: what is not tried on them stays as it was.
        edited(files, INPUTS, "image/g/pixel_values", lambda v: v.__setitem__(7, v[7] + limit))

    pinned.alter(CONNECTOR, change)
    found = pinned.found(CONNECTOR)

    assert (found["status"], aspects(found)) == (status, [] if status == "holds" else ["pixels"])


@pytest.mark.parametrize(("share", "status"), [(0.9, "holds"), (2.0, "drifted")])
def test_on_another_stack_the_loss_has_a_tolerance(pinned: Place, share: float, status: str) -> None:
    def change(files: Files) -> None:
        other_environment(files)
        limit = FP32.of["value of backward"].relative * share
        events(files, STREAM, "backward", lambda r: r.update(value=r["value"] * (1 + limit)))

    pinned.alter(CONNECTOR, change)
    found = pinned.found(CONNECTOR)

    assert (found["status"], aspects(found)) == (status, [] if status == "holds" else ["loss"])


def test_on_another_stack_what_an_earlier_run_left_may_differ_as_that_run_may() -> None:
    first = {"family": "llava-1.5-7b", "tune": "connector", "steps": 4}
    second = {
        **first,
        "steps": 5,
        "optimizer": {"learning_rate": 2e-3},
        "start_from": {"recipe": "1", "settings": first},
    }
    third = {**first, "start_from": {"recipe": "2", "settings": second}}
    of = [with_inputs_and_loads(FP32, Recipe(**one)) for one in (first, second, third)]  # type: ignore[arg-type]

    assert [one.of["final values"].absolute for one in of] == pytest.approx([0.0, 0.3 * 4e-3, 0.3 * (10e-3 + 4e-3)])
    assert ["first value" in one.left_out for one in of] == [False, True, True]
    assert with_inputs_and_loads(BITWISE, Recipe(**third)) is BITWISE  # type: ignore[arg-type]


def test_every_tolerance_says_where_it_comes_from() -> None:
    assert all(len(one.origin) > 20 for one in with_inputs_and_loads(FP32).of.values())


def test_every_field_of_the_comparison_is_somebodys() -> None:
    fields = [field for fields in ASPECTS.values() for field in fields]

    assert len(fields) == len(set(fields))
    assert with_inputs_and_loads(FP32).of.keys() <= set(fields)
    assert FP32.left_out <= set(fields)


def test_a_recipe_that_is_another_now_cannot_be_compared(pinned: Place) -> None:
    suite = pinned.folder / "pair.yaml"
    suite.write_text(suite.read_text().replace("rank: 2", "rank: 3"))
    found = pinned.found(LORA)

    assert "run" in aspects(found)
    assert "the recipes differ in lora.rank: 2 and 3" in drift(found, "run")
    assert "recipe: lora" in found["change"]["code"]


def test_a_run_that_ends_early_now(pinned: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = pinned.folder / "pair.yaml"
    suite.write_text(suite.read_text().replace("steps: 2", "steps: 2, limits: {seconds: 0.01}"))

    assert "killed after its limit" in drift(pinned.found(LORA), "run")


ENGINE = """
from harness.engines.torch_loop import train

def scaled(model, batches, recipe, seams, component_of, loss_of):
    return train(model, batches, recipe, seams, component_of, lambda *given: FACTOR * loss_of(*given))
"""


def test_an_engine_of_ones_own_that_changes(tmp_path, call) -> None:
    (tmp_path / "own_golden_engine.py").write_text(ENGINE.replace("FACTOR", "1.0"))
    (tmp_path / "own.yaml").write_text(
        "family: llava-1.5-7b\ndefaults: {size: tiny, steps: 2, engine: 'own_golden_engine:scaled'}\n"
        "recipes: {one: {tune: [connector]}}\n"
    )
    place = Place(tmp_path, call)
    assert place.pin(tmp_path / "own.yaml").status == 0
    assert place.found("own/one")["status"] == "holds"
    (tmp_path / "own_golden_engine.py").write_text(ENGINE.replace("FACTOR", "1.5"))
    os.utime(tmp_path / "own_golden_engine.py", (1, 1))  # its size is the same: a cached module would be taken
    found = place.found("own/one")

    assert found["change"]["code"] == ["suite/own_golden_engine.py"]
    assert found["change"]["triage"] == "code changed, environment did not"
    assert aspects(found)[0] == "loss"
    assert drift(found, "loss").startswith("value of backward at step 0, micro-batch 0")
    assert "tokens" not in aspects(found)


def test_traces_of_then_and_now_are_kept_where_asked(pinned: Place, tmp_path) -> None:
    pinned.alter(CONNECTOR, lambda files: edited(files, LOGITS, "image", lambda v: v.__setitem__(5, 0.0)))
    out = tmp_path / "out"
    assert pinned.verify("--recipe", CONNECTOR, "--out", out).status == 1
    ran = pinned.call("compare", *(out / when / "pair_connector" / "trace" for when in ("pinned", "now")), "--json")

    assert (ran.status, json.loads(ran.out)["first"]["field"]) == (1, "outputs")


def _lora_b(files: Files) -> str:
    data = files["saved/adapter_model.safetensors"]
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return next(name for name in header if "lora_B" in name)


def _rename(files: Files, file: str, key: str, other: str) -> None:
    assert len(key) == len(other)
    for name in (file, "saved/model.safetensors.index.json"):
        assert key.encode() in files[name]
        files[name] = files[name].replace(f'"{key}"'.encode(), f'"{other}"'.encode())


def _last_number(column: list) -> int:
    return max(at for at, value in enumerate(column) if value is not None)


def _values(record: dict) -> dict:
    return next(iter(record["values"].values()))
