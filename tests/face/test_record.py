"""Recording a training of one's own: what is found by itself, and which mistakes show."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import harness
from harness.refusal import Refused


def status_of(results: harness.Results) -> dict[str, str]:
    return {result.check: result.status.value for result in results}


def failed(results: harness.Results) -> dict[str, set[str]]:
    """Failed check to the kinds of its findings."""
    return {r.check: {f.kind for f in r.findings} for r in results if r.status.value == "failed"}


def test_a_healthy_training_is_ok_and_what_was_asked_was_checked(recorded, training) -> None:
    results = recorded(training())

    assert results.ok, results
    passed = {check for check, status in status_of(results).items() if status == "passed"}
    assert {
        "run.completed",
        "run.mechanism_active",
        "trainable_set_as_intended",
        "frozen_parameters_unchanged",
        "trainable_parameters_moved",
        "optimizer_holds_trainables_once",
        "losses_finite",
        "gradients_finite",
        "gradients_zeroed_once_per_step",
        "labels_present",
    } <= passed


def test_what_the_intent_does_not_call_for_does_not_apply(recorded, training) -> None:
    status = status_of(recorded(training()))

    assert status["adapters_where_intended"] == "not_applicable"
    assert status["saved_directory_loads"] == "not_applicable"
    assert status["pixels_matter"] == "not_applicable"
    assert status["base_weights_arrived"] == "not_applicable"


def test_a_tower_that_nobody_froze_is_found(recorded, training) -> None:
    class ForgetsToFreeze(training):
        def freeze(self, model):
            model.language.requires_grad_(False)

    results = recorded(ForgetsToFreeze())

    assert not results.ok
    assert failed(results) == {
        "trainable_set_as_intended": {"WronglyTrainable"},
        "frozen_parameters_unchanged": {"FrozenMoved"},
    }
    (finding,) = next(r for r in results if r.check == "frozen_parameters_unchanged").findings
    assert finding.expected.startswith("vision: ")
    assert "vision.0.weight" in finding.where


def test_a_connector_that_the_optimizer_was_not_given_is_found(recorded, training) -> None:
    class GivesTheOptimizerAnotherPart(training):
        def optimizer(self, model):
            import torch

            return torch.optim.AdamW([model.connector.weight], lr=1e-2)

    results = recorded(GivesTheOptimizerAnotherPart())

    assert failed(results) == {
        "optimizer_holds_trainables_once": {"NotInOptimizer"},
        "trainable_parameters_moved": {"DidNotMove"},
        "gradients_zeroed_once_per_step": {"StaleGradients"},
    }


def test_gradients_that_nobody_zeroed_are_found(recorded, training) -> None:
    class ForgetsToZero(training):
        def zero(self, optimizer, step):
            pass

    results = recorded(ForgetsToZero())

    assert failed(results) == {"gradients_zeroed_once_per_step": {"StaleGradients"}}


def test_a_connector_cut_off_from_the_loss_is_found(recorded, training, intent) -> None:
    class CutsTheConnectorOff(training):
        def freeze(self, model):
            model.requires_grad_(True)
            model.vision.requires_grad_(False)
            model.connector.register_forward_hook(lambda module, inputs, output: output.detach())

    results = recorded(CutsTheConnectorOff(), {**intent, "trains": [r"connector\.", r"language\."]})

    assert failed(results) == {"trainable_parameters_moved": {"NoGradient"}}


def test_one_bit_of_a_frozen_parameter_that_changes_at_one_step_is_found(recorded, training) -> None:
    class NudgesTheHead(training):
        def before_step(self, model, step):
            import torch

            if step == 1:
                with torch.no_grad():
                    model.language["head"].weight.view(-1).view(torch.int32)[3] ^= 1

    results = recorded(NudgesTheHead())

    assert failed(results) == {"frozen_parameters_unchanged": {"FrozenMoved"}}


def test_clipping_that_was_asked_for_and_left_out_is_found(recorded, training, intent) -> None:
    results = recorded(training(), {**intent, "mechanisms": {"clip_norm": 0.5}})

    assert failed(results) == {"run.mechanism_active": {"MechanismIdle"}}


def test_fewer_steps_than_asked_for_are_no_complete_run(recorded, training, intent) -> None:
    results = recorded(training(), {**intent, "steps": 4})

    assert failed(results) == {"run.completed": {"RunEnded"}}


def test_an_exception_in_the_block_goes_on_and_the_run_is_not_complete(training, build, intent, tmp_path) -> None:
    class Breaks(training):
        def before_step(self, model, step):
            if step == 1:
                raise ZeroDivisionError("somebody's own mistake")

    with (
        pytest.raises(ZeroDivisionError, match="somebody's own mistake"),
        harness.record(tmp_path / "trace", intent),
    ):
        Breaks().run(build())
    results = harness.check(tmp_path / "trace")

    (finding,) = next(result for result in results if result.check == "run.completed").findings
    assert not results.ok
    assert finding.kind == "RunEnded"
    assert finding.seen == "ZeroDivisionError: somebody's own mistake"
    assert finding.where == "stage train, after 1 optimizer step"
    assert status_of(results)["losses_finite"] == "passed", "what was recorded before is still judged"


def test_an_interruption_in_the_block_goes_on_too(tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt), harness.record(tmp_path / "trace"):
        raise KeyboardInterrupt

    assert status_of(harness.check(tmp_path / "trace"))["run.completed"] == "failed"


def test_a_model_from_before_the_block_is_found_when_it_is_named(model, training, intent, tmp_path) -> None:
    with harness.record(tmp_path / "trace", intent, models=[model]):
        training().run(model)

    results = harness.check(tmp_path / "trace")
    assert results.ok, results


def test_a_model_that_nobody_named_is_no_success(model, training, intent, tmp_path) -> None:
    with harness.record(tmp_path / "trace", intent):
        training().run(model)

    results = harness.check(tmp_path / "trace")

    assert not results.ok
    assert status_of(results)["frozen_parameters_unchanged"] == "blocked"


@pytest.mark.parametrize("probe", [False, True])
def test_a_block_in_which_nothing_is_trained_is_no_success(probe, batch_of, tmp_path) -> None:
    with harness.record(tmp_path / "trace", {}, probe=batch_of(0) if probe else None):
        pass

    assert not harness.check(tmp_path / "trace").ok


def test_with_a_probe_the_pixels_are_asked_after(recorded, training, batch_of) -> None:
    results = recorded(training(), probe=batch_of(9))

    assert results.ok, results
    assert status_of(results)["pixels_matter"] == "passed"


def test_pixels_that_do_not_reach_the_language_model_are_found(recorded, training, batch_of, intent) -> None:
    class IgnoresThePicture(training):
        def freeze(self, model):
            model.requires_grad_(True)
            model.connector.register_forward_hook(lambda module, inputs, output: output * 0)

    everything = {**intent, "trains": [".*"], "out_of_reach": ["connector", "vision"]}
    results = recorded(IgnoresThePicture(), everything, probe=batch_of(9))

    assert failed(results)["pixels_matter"] == {"PixelsIgnored"}


def test_the_probe_is_no_part_of_the_training_and_changes_nothing(training, build, batch_of, intent, tmp_path) -> None:
    import torch

    trained = {}
    for name, probe in (("with", batch_of(9)), ("without", None)):
        torch.manual_seed(1)
        with harness.record(tmp_path / name, intent, probe=probe):
            trained[name] = training().run(build())
        trained[f"{name} random"] = torch.get_rng_state()
    kinds = {name: [event["kind"] for event in events(tmp_path / name)] for name in ("with", "without")}

    assert trained["with"].training
    assert torch.equal(trained["with random"], trained["without random"])
    assert [kind for kind in kinds["with"] if kind != "probe"] == kinds["without"]


def test_recording_changes_no_number_and_leaves_torch_as_it_was(recorded, training, build, tmp_path) -> None:
    import torch

    public = {
        "backward": torch.autograd.backward,
        "step": torch.optim.AdamW.step,
        "zero_grad": torch.optim.Optimizer.zero_grad,
        "clip": torch.nn.utils.clip_grad_norm_,
        "init": torch.nn.Module.__init__,
    }
    plain = training().run(build())

    with harness.record(tmp_path / "trace"):
        seen = training().run(build())

    for (name, one), other in zip(plain.named_parameters(), seen.parameters(), strict=True):
        assert torch.equal(one, other), name
    assert public == {
        "backward": torch.autograd.backward,
        "step": torch.optim.AdamW.step,
        "zero_grad": torch.optim.Optimizer.zero_grad,
        "clip": torch.nn.utils.clip_grad_norm_,
        "init": torch.nn.Module.__init__,
    }


def test_the_same_training_gives_the_same_trace(training, build, intent, tmp_path) -> None:
    for name in ("one", "two"):
        with harness.record(tmp_path / name / "trace", intent):
            training().run(build())

    first, second = ((tmp_path / name / "trace" / "rank-0" / "events.jsonl").read_bytes() for name in ("one", "two"))
    assert first == second != b""


def test_a_trace_can_be_judged_against_another_intent(recorded, training, intent, tmp_path) -> None:
    assert recorded(training()).ok

    other = harness.check(tmp_path / "trace", {**intent, "trains": [r"connector\.", r"language\."]})

    assert set(failed(other)) == {"trainable_set_as_intended"}
    assert harness.check(tmp_path / "trace").ok, "the trace keeps its own intent"


def test_an_intent_is_an_object_too(training, build, intent, tmp_path) -> None:
    with harness.record(tmp_path / "trace", harness.Intent(**intent)):
        training().run(build())

    results = harness.check(str(tmp_path / "trace"), harness.Intent(**intent))
    assert results.ok, results


def test_the_command_line_judges_a_trace_recorded_from_python(recorded, training, tmp_path, capsys) -> None:
    from harness.cli.main import status_of as status_of_command

    results = recorded(training())
    capsys.readouterr()

    status = status_of_command(["check", str(tmp_path / "trace"), "--json"])

    assert status == 0
    assert json.loads(capsys.readouterr().out) == [result.to_json() for result in results]


def test_results_read_as_text_show_each_failure_and_the_counts(recorded, training) -> None:
    class ForgetsToZero(training):
        def zero(self, optimizer, step):
            pass

    lines = str(recorded(ForgetsToZero())).splitlines()

    assert lines[0] == "FAILED  gradients_zeroed_once_per_step"
    assert [line.split()[0] for line in lines[1:5]] == ["expected", "seen", "where", "cause"]
    assert re.fullmatch(r"1 of \d+ checks failed in 1 of 1 recipe\.", lines[-1])
    assert max(map(len, lines)) < 200


def test_results_of_a_healthy_training_read_as_one_sentence(recorded, training) -> None:
    results = recorded(training())
    *_, last = str(results).splitlines()

    assert last.startswith("All ")
    assert "passed" in last
    assert repr(results).startswith("<Results: ")
    assert len(repr(results).splitlines()) == 1


def test_no_results_are_no_success() -> None:
    assert not harness.Results([]).ok


def test_a_directory_that_is_no_trace_is_refused(tmp_path) -> None:
    with pytest.raises(Refused, match="is not a trace"):
        harness.check(tmp_path)


def test_an_intent_that_is_none_is_refused(training, recorded, intent, tmp_path) -> None:
    with (
        pytest.raises(Refused, match=r"trace: intent: unknown setting tranis"),
        harness.record(tmp_path / "trace", {"tranis": [".*"]}),
    ):
        pytest.fail("the block was entered")
    recorded(training())
    with pytest.raises(Refused, match="steps"):
        harness.check(tmp_path / "trace", {**intent, "steps": "many"})


def test_a_trace_without_an_intent_is_refused_where_none_is_given(recorded, training, intent, tmp_path) -> None:
    recorded(training())
    header = tmp_path / "trace" / "header.json"
    header.write_text(json.dumps({**json.loads(header.read_text()), "intent": None}))

    with pytest.raises(Refused, match="there is no intent; give one"):
        harness.check(tmp_path / "trace")
    assert harness.check(tmp_path / "trace", intent).ok


def events(trace: Path) -> list[dict]:
    return [json.loads(line) for line in (trace / "rank-0" / "events.jsonl").read_text().splitlines()]
