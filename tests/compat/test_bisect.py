"""The first version that diverges is found by halves, whatever cannot be tried on the way; and it is said in words."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from harness.cli.bisecting import companions, lines
from harness.compat.bisecting import Bisection, Unavailable, bisect
from harness.compat.saving import Saved, Wanted
from harness.compat.versions import Asking, Divergence, _load, _run
from harness.compat_table import Cell, Gap, Outcome
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.result import Status
from harness.stacks import AskedStack, Layered, range_of

VERSIONS = tuple(f"4.{minor}.0" for minor in range(40, 60))
ASKED = range_of("transformers==4.40..4.59")


def from_on(first: str, missing: tuple[str, ...] = ()) -> Any:
    def diverges(version: str) -> str | None:
        if version in missing:
            raise Unavailable("cannot be had")
        return f"diverges in {version}" if VERSIONS.index(version) >= VERSIONS.index(first) else None

    return diverges


@pytest.mark.parametrize("first", VERSIONS[1:])
def test_every_first_version_is_found_in_few_tries(first: str) -> None:
    found = bisect(VERSIONS, from_on(first))

    assert (found.bad, found.found) == (first, f"diverges in {first}")
    assert found.good == VERSIONS[VERSIONS.index(first) - 1]
    assert found.between == ()
    assert len(found.tried) <= 1 + math.ceil(math.log2(len(VERSIONS) - 1))
    assert len(set(found.tried)) == len(found.tried)


def test_both_ends_agree() -> None:
    found = bisect(VERSIONS, lambda version: None)

    assert (found.bad, found.good, found.tried) == (None, VERSIONS[-1], (VERSIONS[-1],))


@pytest.mark.parametrize("first", VERSIONS[1:-1])
def test_what_cannot_be_tried_is_passed_over(first: str) -> None:
    missing = (VERSIONS[-1], VERSIONS[9], VERSIONS[10])
    found = bisect(VERSIONS, from_on(first, missing))

    assert found.bad is not None
    assert first in (*found.between, found.bad)
    assert set(found.between) <= set(missing)
    assert set(found.skipped) <= set(missing)


def test_nothing_but_the_first_can_be_had() -> None:
    with pytest.raises(Refused, match=r"of 4\.40\.0 to 4\.59\.0 none but the first can be had: cannot be had"):
        bisect(VERSIONS, from_on(VERSIONS[1], VERSIONS[1:]))


@pytest.mark.parametrize(("versions", "said"), [((), "no released version in that range"), (("1.0",), "1.0 alone in")])
def test_a_range_must_have_two_ends(versions: tuple[str, ...], said: str) -> None:
    with pytest.raises(Refused) as refused:
        bisect(versions, lambda version: None)
    assert said in str(refused.value)


def test_what_was_found_in_words() -> None:
    one = Divergence("llava/full", "backward", "keys", "55 keys lost: a, b …")
    found = Bisection(VERSIONS, (VERSIONS[-1], "4.50.0"), "4.48.0", "4.50.0", one, {"4.49.0": "yanked"})

    assert lines(found, ASKED, {"peft": "0.13.2"}, ["backward"]) == [
        "transformers==4.40..4.59, beside peft 0.13.2: tried 3 of 20 versions (4.40.0, 4.59.0, 4.50.0)",
        "First to diverge: transformers 4.50.0; 4.48.0 still agrees with 4.40.0.",
        "  recipe     llava/full",
        "  asked      what the newer saves, loaded by the oldest",
        "  field      keys",
        "  seen       55 keys lost: a, b …",
        "  or         4.49.0, which could not be tried",
        "not tried: 4.49.0: yanked",
    ]


def test_that_both_ends_agree_is_said_plainly() -> None:
    told = lines(bisect(VERSIONS, lambda version: None), ASKED, {}, ["forward", "run"])

    assert told[0].endswith("beside what is installed: tried 2 of 20 versions (4.40.0, 4.59.0)")
    assert told[1] == (
        "Both ends agree: 4.40.0 and 4.59.0 (what the oldest saves, loaded by the newer; the same run under both)."
        " What lies between was not tried."
    )


def stack(name: str, **versions: str) -> AskedStack:
    return AskedStack(name=name, versions=versions)


STACKS = (stack("a", transformers="4.45.2", peft="0.13.2"), stack("b", transformers="4.52.4", peft="0.15.2"))


@pytest.mark.parametrize(
    ("text", "beside", "found"),
    [
        ("transformers==4.51..4.57", [], {"peft": "0.13.2"}),
        ("transformers==4.52..4.57", [], {"peft": "0.15.2"}),
        ("transformers==4.52.4..4.57", [], {"peft": "0.15.2"}),
        ("transformers==4.52.3..4.57", [], {"peft": "0.13.2"}),
        ("transformers==4.40..4.57", [], {"peft": "0.13.2"}),
        ("transformers==4.51..4.57", ["peft==0.15.2", "accelerate==1.0.1"], {"peft": "0.15.2", "accelerate": "1.0.1"}),
        ("peft==0.13..0.15", [], {"transformers": "4.45.2"}),
        ("accelerate==1.0..1.2", [], {}),
    ],
)
def test_what_lies_beside_is_the_same_for_all(text: str, beside: list[str], found: dict[str, str]) -> None:
    assert companions(range_of(text), STACKS, beside) == found


def test_a_version_beside_that_is_none() -> None:
    with pytest.raises(Refused, match="--with 'peft' is no version; write it like peft=="):
        companions(ASKED, STACKS, ["peft"])


def cell(outcome: Outcome, **more: Any) -> Cell:
    place = {"recipe": "s/a", "saved_under": "1", "loaded_under": "2"}
    return Cell(**{**place, "outcome": outcome, "status": Status.FAILED, **more})


GAP = Gap(field="tokens", where="image", first="a", second="b")


@pytest.mark.parametrize(
    ("one", "field", "words"),
    [
        (cell(Outcome.ERROR, error="model: E"), "loads", "model: E"),
        (cell(Outcome.NOT_APPLICABLE, reason="lacks it"), "loads", "lacks it"),
        (cell(Outcome.KEYS_LOST, missing=("a", "b")), "keys", "2 keys lost: a, b"),
        (cell(Outcome.KEYS_LOST, unexpected=tuple("abcd")), "keys", "4 keys lost: a, b, c …"),
        (
            cell(Outcome.OUTPUTS_DIFFER, differing=("tokens", "logits"), largest=GAP),
            "tokens",
            "tokens, logits differ at image: a and b",
        ),
    ],
)
def test_the_field_of_a_load(one: Cell, field: str, words: str) -> None:
    assert _load(one) == (field, words)
    assert _load(cell(Outcome.LOADS)) is None


def test_a_run_that_was_not_made_diverges() -> None:
    wanted = Wanted("s/a", Recipe(family="llava-1.5-7b", tune=("connector",)), Path("s.yaml"))  # type: ignore[arg-type]

    assert _run(Saved(wanted, "1", Path()), Saved(wanted, "2", Path(), error="RuntimeError: x")) == (
        "run",
        "RuntimeError: x",
    )


class Builder:
    """Stacks that are there at once, but for those that are not."""

    def __init__(self, *missing: str) -> None:
        self.missing = missing
        self.asked: list[dict[str, str]] = []

    def __call__(self, one: AskedStack) -> Layered:
        self.asked.append(dict(one.versions))
        if one.name in self.missing:
            raise Refused("cannot be installed")
        return Layered(one.name, dict(one.versions), None, {})


def test_each_version_is_built_once_beside_the_same_and_one_that_cannot_be_is_passed_over() -> None:
    make = Builder("4.50.0", "4.40.0")
    asking = Asking(None, make, "transformers", {"peft": "0.13.2"}, [], ["run"], "4.40.0")  # type: ignore[arg-type]
    asking._stack("4.45.0")
    asking._stack("4.45.0")

    assert make.asked == [{"peft": "0.13.2", "transformers": "4.45.0"}]
    with pytest.raises(Unavailable, match="cannot be installed"):
        asking.diverges("4.50.0")
    with pytest.raises(Refused, match="cannot be installed"):
        asking.prepare()
