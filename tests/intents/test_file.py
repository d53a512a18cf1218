"""Intent files: what they may say, what of it is refused in one line, and what comes of it with a trace."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.intent import Intent
from harness.intents import IntentFile, applied, intent_from, loader_of, read_intent, trusts_code
from harness.refusal import Refused

Trace = Any


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trainble: vision", "unknown setting trainble; did you mean trainable?"),
        ("adapters: {ranks: 4}", "unknown setting adapters.ranks; did you mean rank?"),
        ("save: {procesor: X}", "unknown setting save.procesor; did you mean processor?"),
        ("zzz: 1", "unknown setting zzz; harness schema --intent lists every setting"),
        ("trainable: ['layers.{0..']", "trainable.0: 'layers.{0..' opens a brace"),
        ("{trainable: vision, frozen: [vision]}", "'vision' is named trainable and frozen; name it once"),
        ("{trainable: vision, trains: [a]}", "trainable belongs to an intent file in words, trains to one"),
        ("{family: llava-1.5-7b, components: {vision: a}}", "family and components both say which"),
        ("precision: fp8", "precision: Input should be 'fp32', 'bf16'"),
        ("adapters: {targets: '('}", "adapters.targets: '(' is not a regular expression"),
        ("accumulation: 0", "accumulation: Input should be greater than 0 (got 0)"),
        ("save: {loader: 'a b'}", "save.loader: String should match pattern"),
        ("components: {visoin: a}", "components.visoin: Input should be 'vision'"),
        ("optimizer: {learning_rate: 1, schedule: other, floor: 0.1}", "optimizer: schedule other: floor and warm-up"),
        ("budget: {memory: lots}", "budget.memory: it is no size (got 'lots'); write it as 40 GiB, or as bytes"),
        ("budget: {seconds_per_step: 2}", "budget: seconds_per_step holds on one kind of device; name it as device"),
        ("budget: {memory: 0 GiB}", "budget.memory: Input should be greater than 0"),
        ("- a", "there is no intent; give one with --intent FILE"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "intent.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(Refused) as caught:
        read_intent(tmp_path / "intent.yaml")

    assert str(caught.value).startswith(f"{tmp_path / 'intent.yaml'}: {said}")
    assert "\n" not in str(caught.value)


def test_short_forms(tmp_path: Path) -> None:
    (tmp_path / "intent.json").write_text('{"trainable": "llm", "adapters": false, "save": "full"}', encoding="utf-8")

    found = read_intent(tmp_path / "intent.json")

    assert isinstance(found, IntentFile)
    assert (found.trainable, found.adapter, found.adapters is None) == (("llm",), None, False)
    assert found.save is not None
    assert found.save.what == "full"
    assert isinstance(intent_from({"trains": ["a"]}, ""), Intent)
    assert isinstance(intent_from({"components": [["a", "vision"]]}, ""), Intent)


def test_an_unknown_family_is_refused(trace_of: Callable[[str], Trace]) -> None:
    with pytest.raises(Refused, match=re.escape("unknown family 'llava'")):
        applied(IntentFile(family="llava"), trace_of("connector"))


def test_the_loader_that_a_file_names() -> None:
    assert loader_of(IntentFile.model_validate({"save": {"loader": "mine:load"}})) == "mine:load"
    assert loader_of(IntentFile()) is None
    assert loader_of(Intent()) is None


def test_code_is_trusted_in_as_many_words_alone() -> None:
    assert trusts_code(IntentFile.model_validate({"trust_remote_code": True}))
    assert not trusts_code(IntentFile())
    assert not trusts_code(Intent())


SILENT: list[tuple[str, dict[str, Any]]] = [
    ("connector", {}),
    ("connector", {"trainable": "connector", "frozen": ["vision", "llm"], "precision": "fp32", "accumulation": 1}),
    ("connector", {"frozen": ["/vision_tower/", "language_model", "lm_head"]}),
    ("connector", {"trainable": "multi_modal_projector", "adapters": "none", "clip_norm": 1.0}),
    ("connector", {"trainable": "*projector*", "components": {"vision": "vision_tower", "connector": "*projector*"}}),
    ("connector", {"family": "llava-1.5-7b", "save": {"what": "full", "processor": "LlavaProcessor"}}),
    ("lora", {"trainable": "connector", "adapters": {"rank": 4, "alpha": 16, "targets": ["q_proj", "v_proj"]},
              "frozen": ["vision"], "precision": "bf16", "save": {"what": "adapter", "processor": "LlavaProcessor"}}),
    ("lora", {"frozen": ["vision", "llm"]}),
    ("lora", {}),
    ("vision", {"trainable": ["connector", "vision"], "accumulation": 2, "precision": "fp32"}),
    ("vision", {"frozen": "llm", "optimizer": {"learning_rate": 1e-3, "weight_decay": 0.0}}),
]  # fmt: skip


@pytest.mark.parametrize(("run", "settings"), SILENT)
def test_a_run_that_does_what_the_file_says_has_no_finding(
    run: str, settings: dict[str, Any], trace_of: Callable[[str], Trace]
) -> None:
    results = harness.check(trace_of(run).directory, settings)

    assert results.ok, str(results)
    assert sum(result.status.value == "passed" for result in results) >= 20


def failing(trace: Trace, settings: dict[str, Any]) -> dict[str, str]:
    """The checks that fail or are blocked, with what their first finding expects."""
    results = harness.check(trace.directory, settings)
    return {r.check: r.findings[0].expected if r.findings else r.reason for r in results if r.status.value in
            ("failed", "blocked")}  # fmt: skip


FAILING: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("vision", {"frozen": ["vision", "llm"]}, {
        "trainable_set_as_intended": "vision: frozen here (frozen: vision)",
        "frozen_parameters_unchanged": "vision: every bit as before training (frozen: vision)"}),
    ("connector", {"trainable": ["*projector*", "*.lm_head"]}, {
        "trainable_set_as_intended": "lm_head: trained here (trainable: *.lm_head)"}),
    ("connector", {"trainable": ["connector", "audio_tower"]}, {
        "intent_patterns_meet": "trainable: audio_tower: some parameter of the model"}),
    ("connector", {"trainable": "connector", "precision": "bf16"}, {
        "run.mechanism_active": "linear layers computing in bfloat16",
        "layers_compute_as_asked": "every Conv2d computing in bfloat16"}),
    ("lora", {"trainable": "connector", "adapters": {"rank": 8, "targets": ["q_proj", "k_proj", "v_proj"]},
              "frozen": "vision"}, {
        "adapters_where_intended": "language: an adapter on every module that the targets name",
        "adapter_numbers_as_asked": "r 8"}),
    ("lora", {"trainable": "connector"}, {
        "trainable_set_as_intended": "language: frozen here",
        "frozen_parameters_unchanged": "language: every bit as before training"}),
    ("vision", {"accumulation": 4}, {"run.mechanism_active": "backward passes of that step: 4"}),
    ("connector", {"optimizer": {"learning_rate": 2e-3}}, {
        "learning_rates_as_declared": "connector: a rate of 0.002 at step 0"}),
]  # fmt: skip


@pytest.mark.parametrize(("run", "settings", "expected"), FAILING)
def test_a_run_that_does_something_else_fails_by_the_right_check(
    run: str, settings: dict[str, Any], expected: dict[str, str], trace_of: Callable[[str], Trace]
) -> None:
    assert failing(trace_of(run), settings) == expected


def test_what_the_file_leaves_out_is_taken_from_the_run(trace_of: Callable[[str], Trace]) -> None:
    intent = applied(IntentFile(), trace_of("lora"))

    assert intent.adapter is not None
    assert (intent.adapter.method, intent.adapter.rank, intent.adapter.components) == ("lora", 4, ("language",))
    assert intent.mechanisms.accumulation_as_seen
    assert intent.optimization is None
    assert intent.save.what == "nothing"
    assert intent.names_as_trained("multi_modal_projector.linear_1.weight")
    assert not intent.names_as_trained("multi_modal_projector.linear_1.weights")
