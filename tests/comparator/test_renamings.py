"""A module that another release calls otherwise is renamed, not gone."""

from __future__ import annotations

from collections.abc import Callable

from harness.comparator import Verdict
from harness.report import divergence_lines
from harness.trace.reader import Trace
from tests.comparator.conftest import KEYS, RULES, altered

Make = Callable[[], Trace]


def moved(trace: Trace) -> None:
    """As a release that puts the language model one level deeper, and says so in its rules."""
    trace.header["intent"] = {**RULES, "renames": [[r"^model\.language(?=\.|$)", "language"]]}
    trace.events[1]["path"] = [f"model.{key}" if key.startswith("language") else key for key in KEYS]


def test_other_paths_under_the_same_keys_are_said_and_are_no_difference(recorded: Make) -> None:
    found = altered(recorded, moved)
    assert found.verdict is Verdict.EQUAL
    assert found.renamed == ("language is model.language: 2 parameters",)
    assert "  renamed   language is model.language: 2 parameters" in divergence_lines(found)
    assert found.to_json()["renamed"] == list(found.renamed)


def test_a_key_that_has_changed_is_a_difference_and_is_said_to_be_a_renaming(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        trace.events[1]["path"] = [*KEYS[:3], "language.other"]

    found = altered(recorded, alter)
    assert found.verdict is Verdict.DIFFERENT
    assert found.renamed == ("language.twin is language.other: 1 parameter, under another key",)


def test_what_began_as_two_others_did_is_not_guessed_at(recorded: Make) -> None:
    alike = ["same"] * len(KEYS)

    def alter(trace: Trace) -> None:
        trace.events[1].update(path=[f"other.{key}" for key in KEYS], fingerprint=alike)

    assert altered(recorded, alter).renamed == ()
    assert altered(recorded, lambda trace: None).renamed == ()


def test_a_parameter_of_other_values_is_gone_and_not_renamed(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        trace.events[1].update(path=[*KEYS[:3], "language.other"])
        trace.events[1]["fingerprint"] = [*trace.events[1]["fingerprint"][:3], "drawn anew"]

    assert altered(recorded, alter).renamed == ()
