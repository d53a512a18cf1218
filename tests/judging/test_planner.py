"""From the needs of the selected checks to runs and probes: each made once, and none that nobody asked for."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from harness.checks import CHECKS, Check, check
from harness.checks.needs import Images, Need, Partner, Probe, Reload, ReloadIfSaved, Steps
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.running.planner import MAIN, Plan, plan, with_changes

FAMILY = "llava-1.5-7b"
Made = Callable[..., Check]


def recipe(**settings: Any) -> Recipe:
    return Recipe.model_validate({"family": FAMILY, "tune": "connector", **settings})


@pytest.fixture
def made(forgotten: Callable[[str], None]) -> Made:
    """Registers a check with these needs, for the length of the test."""

    def register(*needs: Need, name: str = "made") -> Check:
        forgotten(name)
        check("", needs=needs, name=name)(lambda intent, trace, **partners: iter(()))
        return CHECKS[name]

    return register


def planned(*checks: Check, **settings: Any) -> Plan:
    return plan("suite/r", recipe(**settings), checks)


def test_nothing_asked_for_is_one_run_and_no_more() -> None:
    found = planned()

    assert (found.recipe_id, list(found.runs), found.aliases) == ("suite/r", [MAIN], {})
    assert found.runs[MAIN].recipe == recipe()
    assert (found.runs[MAIN].probes, found.runs[MAIN].reload) == ([], False)
    assert found.runs[MAIN].intent.steps == recipe().steps


def test_probes_are_made_once_however_many_checks_need_them(made: Made) -> None:
    one = made(Probe(probe="b"), Probe(probe="a"), name="one")
    two = made(Probe(probe="c"), Probe(probe="a"), Steps(1), name="two")

    assert planned(one, two).runs[MAIN].probes == ["a", "b", "c"]
    assert planned(two, one) == planned(one, two)


def test_what_was_saved_is_loaded_only_if_a_check_needs_it(made: Made) -> None:
    without, needing = made(Steps(1), name="without"), made(Reload, name="needing")

    assert planned(without).runs[MAIN].reload is False
    assert planned(without, needing).runs[MAIN].reload is True


def test_where_nothing_is_saved_nothing_is_loaded_for_a_check_that_applies_all_the_same(made: Made) -> None:
    found = planned(made(Probe(probe="a"), ReloadIfSaved), save={"what": "nothing"}).runs[MAIN]

    assert (found.probes, found.reload) == (["a"], False)


@pytest.mark.parametrize(
    ("need", "settings"),
    [
        pytest.param(Reload, {"save": {"what": "nothing"}}, id="nothing saved"),
        pytest.param(Images, {"tune": "language", "data": {"mix": ["text"]}}, id="no images"),
    ],
)
def test_a_check_that_does_not_apply_costs_nothing(made: Made, need: Need, settings: dict[str, Any]) -> None:
    asked = made(need, Probe(probe="p"), Partner(name="twin", changes={"seed": 1}))

    applied, idle = planned(asked), planned(asked, **settings)

    assert (sorted(applied.runs), "p" in applied.runs[MAIN].probes) == (["main", "twin"], True)
    assert (list(idle.runs), idle.runs[MAIN].probes, idle.runs[MAIN].reload) == ([MAIN], [], False)


def test_a_partner_is_the_recipe_with_its_changes(made: Made) -> None:
    found = planned(made(Partner(name="split", changes={"optimizer.accumulation": 2, "seed": 5})), steps=3)
    partner = found.runs["split"]

    assert partner.recipe == recipe(steps=3, seed=5, optimizer={"accumulation": 2})
    assert partner.intent.mechanisms.accumulation == 2
    assert found.runs[MAIN].intent.mechanisms.accumulation == 1
    assert (partner.probes, partner.reload) == ([], False)


def test_equal_partner_runs_are_made_once(made: Made) -> None:
    found = planned(
        made(Partner(name="a", changes={"seed": 1}), name="one"),
        made(Partner(name="b", changes={"seed": 1}), Partner(name="c", changes={"seed": 2}), name="two"),
    )

    assert sorted(found.runs) == ["a", "c", "main"]
    assert found.aliases == {"b": "a"}


def test_a_partner_equal_to_the_recipe_is_still_another_run(made: Made) -> None:
    found = planned(made(Partner(name="again")))

    assert sorted(found.runs) == ["again", "main"]
    assert found.runs["again"].recipe == found.runs[MAIN].recipe


def test_one_partner_for_two_checks_is_one_run(made: Made) -> None:
    twin = Partner(name="twin", changes={"seed": 1})
    found = planned(made(twin, name="one"), made(twin, name="two"))

    assert sorted(found.runs) == ["main", "twin"]
    assert found.aliases.get("twin", "twin") == "twin"


def test_two_partners_of_one_name_do_not_replace_each_other(made: Made) -> None:
    one, two = (made(Partner(changes={"seed": seed}), name=f"seed {seed}") for seed in (1, 2))

    with pytest.raises(Refused, match="partner run 'partner' of suite/r has the name of another run; rename"):
        planned(one, two)


def test_a_partner_does_not_replace_the_twin_of_another(made: Made) -> None:
    first = made(Partner(name="a", changes={"seed": 1}), Partner(name="b", changes={"seed": 1}), name="one")

    with pytest.raises(Refused, match="partner run 'b'"):
        planned(first, made(Partner(name="b", changes={"seed": 2}), name="two"))


def test_a_partner_does_not_replace_the_recipe_itself(made: Made) -> None:
    with pytest.raises(Refused, match="partner run 'main'"):
        planned(made(Partner(name=MAIN)))


def test_a_selection_plans_less_than_everything() -> None:
    everything = planned(*CHECKS)
    selected = planned(*CHECKS.named(["frozen_parameters_unchanged", "pixels_matter"]))

    assert (everything.runs[MAIN].reload, selected.runs[MAIN].reload) == (True, False)
    assert set(selected.runs[MAIN].probes) < set(everything.runs[MAIN].probes)


def test_probes_of_shipped_checks_exist() -> None:
    from harness.probes import PROBES

    assert {name for one in CHECKS for name in one.probes} <= set(PROBES)


@pytest.mark.parametrize(
    ("settings", "changes", "expected"),
    [
        pytest.param({}, {"steps": 2}, {"steps": 2}, id="plain"),
        pytest.param({}, {"optimizer.clip_norm": None}, {"optimizer": {"clip_norm": None}}, id="dotted"),
        pytest.param(
            {"optimizer": {"learning_rate": 0.5}},
            {"optimizer.accumulation": 2},
            {"optimizer": {"learning_rate": 0.5, "accumulation": 2}},
            id="dotted beside its neighbours",
        ),
        pytest.param(
            {"lora": {"rank": 4}}, {"lora.dora": True}, {"lora": {"rank": 4, "dora": True}}, id="inside an adapter"
        ),
        pytest.param({"lora": {}}, {"seed": 1}, {"lora": {}, "seed": 1}, id="an adapter of defaults stays"),
        pytest.param({"lora": {"rank": 4}}, {"lora": None}, {}, id="an adapter taken away"),
        pytest.param({}, {}, {}, id="nothing"),
    ],
)
def test_changes_are_made_by_name(settings: dict[str, Any], changes: dict[str, Any], expected: dict[str, Any]) -> None:
    before = recipe(**settings)

    assert with_changes(before, changes) == recipe(**expected)
    assert before == recipe(**settings)


@pytest.mark.parametrize(
    "changes",
    [{"stepz": 1}, {"optimizer.acumulation": 2}, {"precision": "fp8"}, {"precision": "pure-fp16", "loss_scaler": "on"}],
    ids=str,
)
def test_changes_that_cannot_work_raise(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        with_changes(recipe(), changes)


def test_what_trains_in_place_beside_an_adapter_does_so_in_runs_beside() -> None:
    lora = {
        "lora": {"targets": r"model\.language_model\..*q_proj"},
        "save": {"beside_adapter": "non_lora_trainables.bin"},
    }

    changed = with_changes(recipe(**lora), {"save": {"what": "nothing"}, "seed": 7})

    assert (changed.save.beside_adapter, changed.seed) == ("non_lora_trainables.bin", 7)
    assert with_changes(recipe(), {"save": {"what": "nothing"}}).saves == "nothing"


def test_a_measured_run_is_of_steps_that_do_not_overflow() -> None:
    settings = {"precision": "fp16", "loss_scaler": {"overflow_at": 1}, "steps": 3, "budget": {"memory": True}}

    beside = planned(CHECKS["memory_within_budget"], **settings).runs["paced"].recipe

    assert (beside.loss_scaler.overflow_at, beside.steps > 3) == (None, True)


def test_ranks_are_planned_anew_over_other_steps() -> None:
    options = {"init_r": 6, "target_r": 3, "total_step": 8, "tfinal": 2}
    planned_over_eight = recipe(tune=[], adapter={"method": "adalora", "options": options}, steps=8)

    for steps, made_in in ((1, 3), (5, 5)):
        changed = with_changes(planned_over_eight, {"steps": steps})
        assert changed.adapter is not None
        assert changed.steps == changed.adapter.options["total_step"] == made_in
        assert changed.adapter.options["target_r"] == 3


def test_a_partner_run_that_cannot_be_made_is_refused_in_a_line(made: Made) -> None:
    one = made(Partner(name="gone", changes={"steps": 0}))

    with pytest.raises(Refused, match=r"the run 'gone' beside this recipe's own cannot be made: .*; change the recipe"):
        planned(one)


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(Refused, match=r"unknown family 'llava-1.5-7'; did you mean llava-1.5-7b\?"):
        plan("r", recipe(family="llava-1.5-7"), ())


def test_a_need_can_be_held_in_a_set() -> None:
    assert len({Probe(probe="x"), Probe(probe="x"), Probe(probe="y")}) == 2
    assert len({Partner(name="a", changes={"seed": 1}), Partner(name="a", changes={"seed": 1})}) == 1
