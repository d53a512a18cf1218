"""One word per check: not applicable from the intent, blocked from the evidence, else from the findings."""

from collections.abc import Callable
from typing import Any

import pytest

from harness.checks import CHECKS, Check
from harness.checks.judging import judge, judge_all, switched_off
from harness.checks.needs import Closed, FrozenPart, Images, Need, Partner, Probe, Steps
from harness.intent import Intent
from harness.result import Finding, Reason, Severity, Status

Evidence = Any
ERROR = Finding("a", "b", "c")
WARNING = Finding("a", "b", "c", severity=Severity.WARNING)


def made(*findings: Finding, needs: tuple[Need, ...] = ()) -> Check:
    return Check("made", "", "", needs, lambda intent, trace: iter(findings))


@pytest.mark.parametrize(
    ("findings", "status", "reason"),
    [
        pytest.param((), Status.PASSED, "", id="none"),
        pytest.param((ERROR,), Status.FAILED, "1 finding", id="error"),
        pytest.param((WARNING,), Status.WARNED, "1 finding", id="warning"),
        pytest.param((WARNING, WARNING), Status.WARNED, "2 findings", id="warnings"),
        pytest.param((WARNING, ERROR), Status.FAILED, "2 findings", id="both"),
    ],
)
def test_findings_make_the_status(
    evidence: Evidence, findings: tuple[Finding, ...], status: Status, reason: str
) -> None:
    result = judge(made(*findings), "r", Intent(), evidence.trace())

    assert (result.recipe, result.check, result.status, result.reason) == ("r", "made", status, reason)
    assert result.findings == findings


NOT_APPLICABLE: list[tuple[Reason, str, Callable[[dict[str, Any]], object]]] = [
    (Reason.NOT_ASKED_TO_AGREE, "accumulation_equals_one_batch", lambda i: None),
    (Reason.NOT_ASKED_TO_AGREE, "checkpointing_changes_nothing", lambda i: i.update(agrees_with=["one-batch"])),
    (Reason.ONE_PROCESS, "replicas_equal", lambda i: None),
    (Reason.NO_ADAPTER, "adapters_where_intended", lambda i: i.update(adapter=None)),
    (Reason.NO_ADAPTER, "adapter_numbers_as_asked", lambda i: i.update(adapter=None)),
    (Reason.NO_IDENTITY, "adapter_starts_as_identity", lambda i: i["adapter"].update(init=False)),
    (Reason.NO_IDENTITY, "adapter_starts_as_identity", lambda i: i["adapter"].update(init="loftq")),
    (Reason.NO_IDENTITY, "adapter_starts_as_identity", lambda i: i["adapter"].update(method="vblora")),
    (Reason.TOKENS_ADDED, "adapter_starts_as_identity", lambda i: (
        i["adapter"].update(init="pissa"), i.update(resized=["a"]))),
    (Reason.TOKENS_ADDED, "adapter_disabled_is_base", lambda i: i.update(resized=["a"])),
    (Reason.BIASES_TRAINED, "adapter_disabled_is_base", lambda i: i["adapter"].update(bias="lora_only")),
    (Reason.BASE_REWRITTEN, "adapter_disabled_is_base", lambda i: i["adapter"].update(init="olora")),
    (Reason.ADAPTER_CONTINUED, "adapter_starts_as_identity", lambda i: i["adapter"].update(continued=True)),
    (Reason.ADAPTER_NEW, "adapter_continues_as_saved", lambda i: None),
    (Reason.NO_ADAPTER, "adapter_continues_as_saved", lambda i: i.update(adapter=None)),
    (Reason.NOTHING_LAID_OVER, "parts_meet_the_model", lambda i: i.update(parts=[])),
    (Reason.NO_CONFIGURATION_SAVED, "settings_kept", lambda i: None),
    (Reason.NO_OWN_TOWER, "unused_weights_expected", lambda i: i.update(own_towers=[])),
    (Reason.TRAINED_IN_PLACE, "kept_modules", lambda i: i["save"].update(beside_adapter="f.bin")),
    (Reason.TRAINED_IN_PLACE, "adapter_disabled_is_base", lambda i: i["save"].update(beside_adapter="f.bin")),
    (Reason.RANKS_FIXED, "adapter_ranks_allocated", lambda i: None),
    (Reason.ON_NO_LAYER, "adapters_where_intended", lambda i: i["adapter"].update(method="p_tuning")),
    (Reason.NO_NUMBERS, "adapter_numbers_as_asked", lambda i: i["adapter"].update(method="ia3", rank=None)),
    (Reason.NO_MERGING, "adapter_merges", lambda i: i["adapter"].update(method="prompt_tuning")),
    (Reason.NOTHING_KEPT, "kept_modules", lambda i: i.update(trains=[])),
    (Reason.NO_ADAPTER_SAVED, "adapter_file_holds_adapter_only", lambda i: i["save"].update(what="full")),
    (Reason.NOTHING_SAVED, "adapter_file_holds_adapter_only", lambda i: i["save"].update(what="nothing")),
    (Reason.NOTHING_SAVED, "saved_directory_loads", lambda i: i["save"].update(what="nothing")),
    (Reason.NOTHING_SAVED, "reloaded_parameters_equal", lambda i: i["save"].update(what="nothing")),
    (Reason.NOTHING_SAVED, "processor_reloads", lambda i: i["save"].update(what="nothing")),
    (Reason.NO_PROCESSOR_SAVED, "processor_reloads", lambda i: i["save"].update(processor_class=None)),
    (Reason.NO_TOKENIZER_SAVED, "chat_template_kept", lambda i: i["save"].update(tokenizer=False)),
    (Reason.NO_TOKENIZER_SAVED, "vocabulary_covers_ids", lambda i: i["save"].update(tokenizer=False)),
    (Reason.ADAPTER_SAVED, "saved_tensors_as_trained", lambda i: None),
    (Reason.NO_TOKENS_ADDED, "embeddings_resized", lambda i: None),
    (Reason.NO_BASE, "base_directory_sound", lambda i: i.update(base=False)),
    (Reason.NO_IMAGES, "pixels_matter", lambda i: i.update(has_images=False)),
    (Reason.NO_IMAGES, "reloaded_outputs_equal_image", lambda i: i.update(has_images=False)),
    (Reason.NO_DATA_PROMISE, "samples_in_order", lambda i: i.update(samples_known=False)),
    (Reason.NO_DATA_PROMISE, "labels_say_the_answers", lambda i: i.update(samples_known=False)),
    (Reason.NO_TEMPLATE_TOKENS, "template_fits_tokenizer", lambda i: i.update(single_tokens=[])),
    (Reason.NO_DATA_PROMISE, "template_fits_tokenizer", lambda i: i.update(samples_known=False)),
    (Reason.NO_PADDING_THERE, "padding_left_harmless", lambda i: i.update(padding=["right"])),
    (Reason.FEATURES_ELSEWHERE, "image_features_in_place", lambda i: i.update(features_in_place=False)),
    (Reason.NO_BASE, "base_weights_arrived", lambda i: i.update(base=False)),
    (Reason.NOTHING_FROZEN, "frozen_parameters_unchanged", lambda i: i.update(
        adapter=None, trains=[pattern for pattern, _ in i["components"]])),
    (Reason.TOO_FEW_STEPS, "gradients_zeroed_once_per_step", lambda i: i.update(steps=1)),
    (Reason.TOO_FEW_STEPS, "trainable_parameters_moved", lambda i: i.update(steps=1)),
    (Reason.NO_COMPUTE_PROMISE, "layers_compute_as_asked", lambda i: i["mechanisms"].update(
        autocast=None, compute=None)),
    (Reason.NO_COMPUTE_PROMISE, "master_weights_in_fp32", lambda i: i["mechanisms"].update(
        autocast=None, compute=None)),
    (Reason.NOTHING_RECOMPUTED, "recomputed_layers_reached", lambda i: i["mechanisms"].update(checkpointing=False)),
    (Reason.NOTHING_LOGGED, "logged_values_equal_recorded", lambda i: None),
    (Reason.ATTENTION_NOT_ASKED, "attention_as_asked", lambda i: None),
    (Reason.NO_COMPUTE_PROMISE, "tf32_as_asked", lambda i: i["mechanisms"].update(tf32=None)),
    (Reason.NO_MASTERS, "master_weights_in_fp32", lambda i: i.update(weights="bfloat16")),
    (Reason.NO_SCALER, "skipped_steps_change_nothing", lambda i: i["mechanisms"].update(loss_scaler=False)),
    (Reason.NO_SCALER, "gradients_unscaled_before_clip", lambda i: i["mechanisms"].update(loss_scaler=False)),
    (Reason.NO_SCALER, "scale_backs_off_and_recovers", lambda i: i["mechanisms"].update(loss_scaler=False)),
    (Reason.NO_SCALER_RULE, "scaler_rule_over_precisions", lambda i: None),
    (Reason.NO_OPTIMIZATION, "learning_rates_as_declared", lambda i: None),
    (Reason.NO_OPTIMIZATION, "learning_rates_in_proportion", lambda i: None),
    (Reason.ONE_RATE, "learning_rates_in_proportion", lambda i: i.update(optimization={"learning_rate": 0.01})),
    (Reason.NO_SCHEDULE, "learning_rates_as_declared", lambda i: i.update(
        optimization={"learning_rate": 0.01, "schedule": "other"})),
    (Reason.NO_CLIPPING, "clipping_effective", lambda i: i["mechanisms"].update(clip_norm=None)),
    (Reason.NO_THROUGHPUT_BUDGET, "throughput_within_budget", lambda i: None),
    (Reason.NO_MEMORY_BUDGET, "memory_within_budget", lambda i: i.update(budget={"throughput": {}})),
    (Reason.NOTHING_MERGED, "handed_over_equal", lambda i: None),
    (Reason.NO_RESUME_FILE, "resume_file_in_full", lambda i: None),
    (Reason.NO_AUXILIARY_LOSS, "auxiliary_loss_added", lambda i: None),
    (Reason.NO_TAIL, "last_group_steps", lambda i: i["mechanisms"].update(epoch=4)),
    (Reason.NO_TAIL, "last_group_steps", lambda i: i["mechanisms"].update(epoch=7)),  # the run ends before the data
    (Reason.NO_TAIL, "last_group_steps", lambda i: (i.update(steps=None), i["mechanisms"].update(epoch=1))),
    (Reason.NO_REPEATED_BATCH, "repeated_batch_is_learned", lambda i: (
        i.update(optimization={"learning_rate": 0.01}), i["mechanisms"].update(epoch=4))),
    (Reason.NO_DEEPSPEED, "configuration_overrides_nothing", lambda i: i.update(optimization={"learning_rate": 0.01})),
    (Reason.NO_SHARDS_SAVED, "saved_shards_complete", lambda i: None),
    (Reason.NOT_PARTITIONED, "saved_weights_whole", lambda i: None),
    (Reason.NOT_PARTITIONED, "saved_weights_whole", lambda i: i["mechanisms"].update(zero={"stage": 2})),
    (Reason.NOTHING_SAVED, "saved_weights_whole", lambda i: (
        i["mechanisms"].update(zero={"stage": 3}), i["save"].update(what="nothing"))),
    (Reason.MASTERS_ELSEWHERE, "updates_not_lost_to_rounding", lambda i: (
        i.update(weights="bfloat16"), i["mechanisms"].update(zero={"stage": 2}))),
    (Reason.NO_OPTIMIZATION, "weight_decay_as_declared", lambda i: i.update(
        optimization={"learning_rate": 1.0, "weight_decay": None})),
    (Reason.NO_PATTERNS, "intent_patterns_meet", lambda i: None),
    (Reason.TRAINED_IN_PLACE, "kept_modules", lambda i: i["adapter"].update(in_place=True)),
    (Reason.NOT_PROBED, "pixels_matter", lambda i: i.update(probes=["outputs"])),
    (Reason.NOT_PROBED, "pixels_matter", lambda i: i.update(probed=False)),
    (Reason.NOT_PROBED, "reloaded_outputs_equal_text", lambda i: i.update(probed=False)),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "name", "ask"), NOT_APPLICABLE, ids=lambda value: getattr(value, "name", None))
def test_what_the_intent_does_not_call_for_is_not_applicable(
    evidence: Evidence, reason: Reason, name: str, ask: Callable[[dict[str, Any]], object]
) -> None:
    ask(evidence.intent)
    result = evidence.judged(name)

    assert (result.status, result.reason, result.findings) == (Status.NOT_APPLICABLE, reason.value, ())


@pytest.mark.parametrize(
    ("settings", "frozen"),
    [
        pytest.param({}, True, id="nothing is said"),
        pytest.param({"components": [["a", "vision"]], "trains": ["a"]}, False, id="all of all"),
        pytest.param({"components": [["a", "vision"], ["b", "other"]], "trains": ["b"]}, True, id="one of two"),
        pytest.param({"components": [["a", "vision"]], "trains": ["a\\.1"]}, True, id="a part of one"),
        pytest.param({"components": [["a", "vision"]], "trains": ["a"], "adapter": {}}, True, id="under an adapter"),
    ],
)
def test_something_is_frozen_unless_every_component_trains_whole(
    evidence: Evidence, settings: dict[str, Any], frozen: bool
) -> None:
    result = judge(made(needs=(FrozenPart,)), "r", Intent.model_validate(settings), evidence.trace())

    assert result.status is (Status.PASSED if frozen else Status.NOT_APPLICABLE)


@pytest.mark.parametrize(
    ("asked", "overflow", "need", "enough"),
    [
        (None, True, Steps(2, effective=True), True),
        (2, False, Steps(2), True),
        (1, False, Steps(2), False),
        (2, True, Steps(2), True),
        (2, True, Steps(2, effective=True), False),
        (3, True, Steps(2, effective=True), True),
    ],
)
def test_a_recipe_of_fewer_steps_than_a_check_needs_does_not_call_for_it(
    asked: int | None, overflow: bool, need: Need, enough: bool
) -> None:
    intent = Intent(steps=asked, mechanisms={"overflow": overflow})

    assert need.refusal(intent) is (None if enough else Reason.TOO_FEW_STEPS)


NO_LOGITS = "what was merged gave no logits to compare"
NOT_BOTH = "the configurations before and after were not both read"
NO_ROWS = "the labels of some micro-batch were not seen row by row"
BLOCKED: list[tuple[str, str, Callable[[Evidence], object]]] = [
    ("no model met an optimizer", "trainable_set_as_intended", lambda e: e.drop("parameters")),
    ("0 optimizer steps were recorded, 1 are needed", "losses_finite", lambda e: e.drop("optimizer_step")),
    (
        "1 optimizer steps were recorded, 2 are needed",
        "gradients_zeroed_once_per_step",
        lambda e: [e.events.remove(step) for step in e.all("optimizer_step")[1:]],
    ),
    (
        "0 effective optimizer steps were recorded, 1 are needed",
        "trainable_parameters_moved",
        lambda e: [step.update(skipped=True) for step in e.all("optimizer_step")],
    ),
    ("the run ended early, at stage start", "run.mechanism_active", lambda e: e.drop("closing")),
    ("no process loaded the saved directory", "processor_reloads", lambda e: e.stream.clear()),
    (
        "the saved directory does not load",
        "reloaded_parameters_equal",
        lambda e: e.reloaded.update(model_error="OSError: m"),
    ),
    ("probe outputs was not made", "reloaded_outputs_equal_text", lambda e: e.events.remove(e.probe("outputs"))),
    ("probe other_pixels was not made", "pixels_matter", lambda e: e.events.remove(e.probe("other_pixels"))),
    ("no training forward was recorded", "labels_present", lambda e: e.drop("forward")),
    ("whether TF32 was allowed was not recorded", "tf32_as_asked", lambda e: e.one("forward").pop("tf32")),
    (
        "no log was read back",
        "logged_values_equal_recorded",
        lambda e: e.intent["mechanisms"].update(logging="csv"),
    ),
    (
        "how attention is computed was not recorded",
        "attention_as_asked",
        lambda e: e.intent["mechanisms"].update(attention={"language": "sdpa"}),
    ),
    ("no gradient scaler was made", "skipped_steps_change_nothing", lambda e: e.drop("scaler")),
    ("no compute dtypes were recorded", "scaler_on_exactly_for_fp16", lambda e: e.one("forward").pop("dtypes")),
    (
        "no backward started from a single number",
        "accumulation_divides",
        lambda e: (
            e.intent.update(optimization={"learning_rate": 0.01}),
            [event.update(value=None) for event in e.all("backward")],
        ),
    ),
    ("the samples were not announced", "samples_in_order", lambda e: e.drop("data")),
    (
        "how the tokenizer takes the template was not announced",
        "template_fits_tokenizer",
        lambda e: e.one("data").pop("single"),
    ),
    (
        "the values before the first step were not kept: the model is too large",
        "adapter_starts_as_identity",
        lambda e: e.probe("adapter_at_start").update(kept=False),
    ),
    (
        "no process verified the base directory",
        "adapter_starts_as_identity",
        lambda e: (e.intent["adapter"].update(init="pissa"), e.base.clear()),
    ),
    ("no process verified the base directory", "adapter_disabled_is_base", lambda e: e.base.clear()),
    ("the base directory gave no logits", "adapter_disabled_is_base", lambda e: e.base[0].pop("outputs")),
    ("the saved directory was not listed", "adapter_file_holds_adapter_only", lambda e: e.stream.pop(0)),
    ("the base directory has no inventory", "base_weights_arrived", lambda e: e.header.pop("base")),
    ("no process verified the base directory", "base_directory_sound", lambda e: e.base.clear()),
    (
        "the saved directory could not be listed",
        "saved_tensors_as_trained",
        lambda e: (e.saves("full"), e.stream.pop(0)),
    ),
    (
        "the model gave no auxiliary loss beside its loss",
        "auxiliary_loss_added",
        lambda e: e.intent["mechanisms"].update(auxiliary_loss=True),
    ),
    ("no tower was made anew", "unused_weights_expected", lambda e: e.intent.update(own_towers=["mm_vision_tower"])),
    (NO_LOGITS, "handed_over_equal", lambda e: e.intent.update(merged="adapter")),
    (NOT_BOTH, "settings_kept", lambda e: e.saves("full")),
    (NOT_BOTH, "settings_kept", lambda e: (e.saves("full"), e.base[0].update(settings={}))),
    ("the labels were not announced", "labels_say_the_answers", lambda e: e.one("data").pop("learned")),
    (NO_ROWS, "labels_say_the_answers", lambda e: e.one("forward", 2).pop("learned")),
    (NO_ROWS, "labels_say_the_answers", lambda e: e.one("forward", -1).pop("learned")),
    (NO_ROWS, "labels_say_the_answers", lambda e: (e.drop("closing"), e.one("forward", -2).pop("learned"))),
    ("lengths and pictures were not announced", "samples_whole", lambda e: e.one("data").pop("pixels")),
    (
        "the values after the last step were not kept: the model is too large",
        "adapter_ranks_allocated",
        lambda e: e.intent["adapter"].update(method="adalora", rank_budget=1),
    ),
    (
        "no model met an optimizer",
        "parts_meet_the_model",
        lambda e: (e.intent.update(parts=["projector"]), e.drop("parameters")),
    ),
    (
        "no file was laid over the model",
        "parts_meet_the_model",
        lambda e: e.intent.update(parts=["projector"]),
    ),
    (
        "the adapter that is continued was not listed",
        "adapter_continues_as_saved",
        lambda e: e.intent["adapter"].update(continued=True),
    ),
    (
        "probe other_pixels failed: RuntimeError: m",
        "pixels_matter",
        lambda e: e.probe("other_pixels").update(error="RuntimeError: m"),
    ),
]


def test_columns_that_do_not_fit_together_are_no_silent_pass(evidence: Evidence) -> None:
    evidence.one("final")["buffers"].pop()
    evidence.one("forward")["layers"]["gives"].pop()
    evidence.one("data")["samples"].pop()
    evidence.one("forward")["samples"][0] = "of nobody"
    evidence.probe("adapter_merged")["modules"]["back"].pop()

    for name in (
        "adapter_merges",
        "frozen_buffers_unchanged",
        "layers_compute_as_asked",
        "samples_whole",
        "samples_in_order",
    ):
        with pytest.raises(ValueError, match="zip"):
            evidence.judged(name)


@pytest.mark.parametrize(("reason", "name", "lose"), BLOCKED, ids=[f"{name}-{why}" for why, name, _ in BLOCKED])
def test_evidence_that_should_be_there_and_is_not_blocks(
    evidence: Evidence, reason: str, name: str, lose: Callable[[Evidence], object]
) -> None:
    lose(evidence)
    result = evidence.judged(name)

    assert (result.status, result.reason, result.findings) == (Status.BLOCKED, reason, ())
    assert (result.recipe, result.check) == ("recipe", name)


def test_a_run_that_left_nothing_blocks_or_fails_everything(evidence: Evidence) -> None:
    evidence.events.clear()
    evidence.stream.clear()
    evidence.header.pop("base")

    evidence.base.clear()

    statuses = {one.name: evidence.judged(one.name).status for one in CHECKS}

    assert statuses.pop("run.completed") is Status.FAILED
    assert set(statuses.values()) == {Status.BLOCKED, Status.NOT_APPLICABLE}
    assert Status.PASSED not in statuses.values()


def test_the_intent_speaks_before_the_evidence(evidence: Evidence) -> None:
    evidence.events.clear()
    asked = made(needs=(Steps(1), Closed, Images, Probe(probe="x")))

    assert judge(asked, "r", Intent(has_images=False, probed=True), evidence.trace()).status is Status.NOT_APPLICABLE
    assert judge(asked, "r", Intent(probed=True), evidence.trace()).reason.startswith("0 optimizer steps")


def keeping(given: list[Any]) -> Check:
    """A check that has a partner run, and keeps both traces that it gets."""
    return Check(
        "c", "", "", (Partner(name="twin"),), lambda intent, trace, twin: iter(given.append((trace, twin)) or ())
    )


def test_a_check_gets_its_partners_by_name(evidence: Evidence) -> None:
    trace, partner = evidence.trace(), evidence.trace()
    given: list[Any] = []
    twin = keeping(given)

    assert judge(twin, "r", Intent(), trace, {"twin": partner, "other": trace}).status is Status.PASSED
    assert given[0][0] is trace
    assert given[0][1] is partner


@pytest.mark.parametrize("there", [True, False], ids=["cut off", "absent"])
def test_a_partner_that_did_not_complete_blocks(evidence: Evidence, there: bool) -> None:
    trace = evidence.trace()
    evidence.drop("closing")
    partners = {"twin": evidence.trace()} if there else None

    result = judge(made(ERROR, needs=(Partner(name="twin"),)), "r", Intent(), trace, partners)

    assert (result.recipe, result.check, result.status) == ("r", "made", Status.BLOCKED)
    assert result.reason == "partner run twin did not complete"


def test_judging_again_gives_the_same_results(evidence: Evidence) -> None:
    evidence.moves("vision.norm.weight")
    trace, intent = evidence.trace(), Intent.model_validate(evidence.intent)

    first, second = judge_all(CHECKS, "r", intent, trace), judge_all(CHECKS, "r", intent, trace)

    assert first == second
    assert {result.recipe for result in first} == {"r"}
    assert [result.check for result in first] == [one.name for one in CHECKS]


def test_another_intent_brings_its_own_names(evidence: Evidence) -> None:
    evidence.header["intent"] = None

    assert evidence.judged("adapters_where_intended").status is Status.PASSED


def test_a_partner_run_bears_the_names_of_the_intent_too(evidence: Evidence) -> None:
    evidence.header["intent"] = None
    intent, given = Intent.model_validate(evidence.intent), list[Any]()

    judge(keeping(given), "r", intent, evidence.trace(), {"twin": evidence.trace()})

    for trace in given[0]:
        assert {p.component for p in trace.parameters} == {"vision", "connector", "language"}


def test_what_a_user_has_switched_off_does_not_apply_for_the_users_own_reason() -> None:
    result = switched_off("loads", "suite/one", "our nightly run looks at this")

    assert (result.recipe, result.check, result.status) == ("suite/one", "loads", Status.NOT_APPLICABLE)
    assert (result.reason, result.findings) == ("switched off by the suite: our nightly run looks at this", ())


def test_a_weight_makes_every_finding_as_heavy_and_so_the_result(evidence: Evidence) -> None:
    light = judge(made(ERROR, WARNING), "r", Intent(), evidence.trace(), weight="warning")
    heavy = judge(made(WARNING), "r", Intent(), evidence.trace(), weight="error")

    assert (light.status, {finding.severity for finding in light.findings}) == (Status.WARNED, {Severity.WARNING})
    assert (heavy.status, {finding.severity for finding in heavy.findings}) == (Status.FAILED, {Severity.ERROR})


def test_every_reason_is_given_by_some_shipped_check() -> None:
    assert {reason for reason, _, _ in NOT_APPLICABLE} == set(Reason)
