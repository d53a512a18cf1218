"""Two runs that are not of one experiment are never called equal, and what differs around two is listed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.comparator import BITWISE, Verdict, compare
from harness.comparator.tolerances import FP32
from harness.trace.reader import Trace
from tests.comparator.conftest import KEYS, altered

Make = Callable[[], Trace]


EXPERIMENTS = {
    "another setting": (
        lambda trace: trace.header["recipe"]["optimizer"].update(learning_rate=2e-3),
        "the recipes differ in optimizer.learning_rate: 0.001 and 0.002",
    ),
    "another size": (
        lambda trace: trace.header["recipe"].update(size="full"),
        "the recipes differ in size: tiny and full",
    ),
    "a setting that one lacks": (
        lambda trace: trace.header["recipe"].update(seed=1),
        "the recipes differ in seed: not set and 1",
    ),
    "a fault": (
        lambda trace: trace.header.update(faults=["no_unscale"]),
        "faults were injected into one of them: none and no_unscale",
    ),
    "other data": (
        lambda trace: trace.events[0].update(digest="others"),
        "they were given different data: data and others",
    ),
    "a larger model": (
        lambda trace: trace.events[1].update(shape=[[4, 4]] * len(KEYS)),
        "their models are of other sizes: connector.weight has shape [2, 2] and [4, 4]",
    ),
    "another model": (
        lambda trace: trace.events[1].update(path=[f"other.{key}" for key in KEYS]),
        "their models share no parameter",
    ),
    "nothing trained": (
        lambda trace: trace.events.__setitem__(slice(2, None), []),
        "no optimizer step was seen in",
    ),
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_two_experiments_are_not_comparable_and_never_equal(recorded: Make, name: str) -> None:
    alter, reason = EXPERIMENTS[name]
    found = altered(recorded, alter)  # type: ignore[arg-type]
    assert found.verdict is Verdict.NOT_COMPARABLE
    assert not found.verdict.agrees
    assert [one for one in found.reasons if one.startswith(reason)], found.reasons
    assert not found.fields


def test_settings_that_are_meant_to_differ_are_named(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        trace.header["recipe"]["optimizer"]["learning_rate"] = 2e-3
        trace.header["recipe"]["size"] = "full"

    assert altered(recorded, alter, may_differ=["optimizer", "size"]).verdict is Verdict.EQUAL
    assert altered(recorded, alter, may_differ=["optimizer"]).verdict is Verdict.NOT_COMPARABLE
    assert altered(recorded, alter, may_differ=["optimizer.learning", "size"]).verdict is Verdict.NOT_COMPARABLE


def test_one_tensor_of_another_shape_is_a_difference_not_another_size(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        trace.events[1]["shape"] = [[2, 2], [2, 2], [2, 2], [4, 1]]

    found = altered(recorded, alter)
    assert found.verdict is Verdict.DIFFERENT
    assert [(d.place.subject, d.second) for d in found.of("shape")] == [("language.twin", "[4, 1]")]


def test_what_differs_around_two_runs_is_listed(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        trace.header["environment"] = {"threads": 2, "versions": {"torch": "2.13.0", "peft": "0.21.2"}}

    found = altered(recorded, alter)
    assert found.verdict is Verdict.WITHIN_TOLERANCE
    assert found.tolerances == FP32.name
    assert found.environment == ("threads: 1 and 2", "versions.peft: None and 0.21.2")


def test_another_way_of_computing_attention_is_another_environment(recorded: Make) -> None:
    one, other, unsaid = recorded(), recorded(), recorded()
    one.events.append({"kind": "model", "modules": {"path": [], "type": []}, "attention": {"a": "eager"}})
    other.events.append(
        {"kind": "model", "modules": {"path": [], "type": []}, "attention": {"a": "sdpa", "b": "eager"}}
    )

    assert compare(one, other).tolerances == FP32.name
    assert compare(one, other).environment == ("attention: eager and eager and sdpa",)
    assert compare(unsaid, other).environment == ()


def test_models_are_two_where_most_of_what_they_share_has_other_shapes(recorded: Make) -> None:
    def of(*shapes: int) -> Callable[[Trace], None]:
        return lambda trace: trace.events[1].update(shape=[[2, size] for size in shapes])

    assert altered(recorded, of(2, 2, 4, 4)).verdict is Verdict.DIFFERENT
    assert altered(recorded, of(2, 4, 4, 4)).reasons == (
        "their models are of other sizes: connector.weight has shape [2, 2] and [2, 4]",
    )


def test_what_an_adapter_adds_makes_no_other_model(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        trace.events[1].update(role=["adapter"] * 3 + ["base"], shape=[[8, 8]] * 3 + [[2, 2]])

    assert altered(recorded, alter).verdict is Verdict.DIFFERENT


def test_a_model_that_nothing_is_known_of_is_no_other_one(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        trace.events = [event for event in trace.events if event["kind"] not in ("parameters", "final")]

    found = altered(recorded, alter)
    assert found.reasons == ()
    assert found.verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("missing", ["recipe", "faults", "environment"])
def test_a_header_of_few_words_is_compared_by_what_it_has(recorded: Make, missing: str) -> None:
    one, other = recorded(), recorded()
    for trace in (one, other):
        del trace.header[missing]
    assert compare(one, other).verdict is Verdict.EQUAL


def test_every_reason_is_given_with_what_each_has(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        trace.header["recipe"] = {"family": "other", "size": "tiny", "data": {"batch_size": 2}}
        trace.header["faults"] = ["a", "b"]
        trace.events[0].clear()
        trace.events[0].update(kind="data")

    one, other = recorded(), recorded()
    one.header["faults"] = ["c"]
    alter(other)
    found = compare(one, other, may_differ=["optimizer"])
    assert found.verdict is Verdict.NOT_COMPARABLE
    assert found.reasons == (
        "the recipes differ in data.batch_size: not set and 2",
        "the recipes differ in family: demo and other",
        "faults were injected into one of them: c and a, b",
        "they were given different data: data and None",
    )
    assert (found.tolerances, found.differences, found.fields) == (BITWISE.name, (), ())
    assert not [one for one in compare(one, other, may_differ=["data"]).reasons if "data" in one]


def test_what_differs_around_two_that_cannot_be_compared_is_listed_too(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        trace.header["environment"]["threads"] = 2
        trace.header["recipe"]["size"] = "full"

    found = altered(recorded, alter)
    assert (found.tolerances, found.environment) == (FP32.name, ("threads: 1 and 2",))


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [(["a", "b"], [], "a, b and none"), ([], ["c", "d"], "none and c, d"), (["a"], ["c"], "a and c")],
    ids=["first", "second", "both"],
)
def test_faults_are_told_of_each(recorded: Make, first: list[str], second: list[str], said: str) -> None:
    one, other = recorded(), recorded()
    one.header["faults"], other.header["faults"] = first, second

    assert compare(one, other).reasons == (f"faults were injected into one of them: {said}",)


def test_data_that_neither_announced_is_no_other_data(recorded: Make) -> None:
    one, other = recorded(), recorded()
    for trace in (one, other):
        trace.events.remove(trace.of("data")[0])
    assert compare(one, other).verdict is Verdict.EQUAL


def test_nothing_trained_in_either_is_said_of_both(recorded: Make) -> None:
    one, other = recorded(), recorded()
    for trace in (one, other):
        trace.events = [event for event in trace.events if event["kind"] != "optimizer_step"]

    assert compare(one, other).reasons == tuple(f"no optimizer step was seen in {t.directory}" for t in (one, other))
