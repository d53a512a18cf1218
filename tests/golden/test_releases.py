"""What passes by rule is what the rule says, between the releases that it says, and nothing beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.comparator import Difference, Place
from harness.families.llava.names import COMPONENTS, RENAMES
from harness.golden.drift import ASPECTS
from harness.golden.known import Incompatible, excused, read_known
from harness.golden.releases import RENAMED, RULES, by_rule
from harness.refusal import Refused
from harness.trace.naming import Naming

NAMING = Naming(RENAMES, COMPONENTS)
OLD, NEW = {"transformers": "4.45.2"}, {"transformers": "5.23.0"}
FIRST = {
    "LlamaTokenizerFast|PreTrainedTokenizerFast": "LlamaTokenizerFast",
    "[0-9a-f]+": "0f3c",
    "not seen": "not seen",
}
SECOND = {"TokenizersBackend|LlamaTokenizer": "TokenizersBackend", "[0-9a-f]+": "0f3c", "not seen": "not seen"}
BEFORE = "base_model.model.language_model.model.layers.0.self_attn.q_proj.lora_A.weight"
AFTER = "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight"


def difference(rule: object) -> Difference:
    """One that a rule is about."""
    place = Place("saved", rule.field, subject=rule.subject.replace("\\", ""))
    return Difference("missing", place, None, FIRST[rule.first], SECOND[rule.second])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_covers_what_it_says_and_nothing_else(rule):
    one = difference(rule)
    assert by_rule([one], OLD, NEW, NAMING) == ([], {rule.name: 1})
    others = [
        replace(one, first=one.second, second=one.first),
        replace(one, second="something else"),
        replace(one, place=replace(one.place, subject="another")),
        replace(one, place=replace(one.place, field="loss")),
    ]
    assert by_rule(others, OLD, NEW, NAMING) == (others, {})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_is_of_one_release(rule):
    one = difference(rule)
    major, minor = rule.release
    at, later = f"{major}.{minor}.0", f"{major}.{minor + 1}.0"
    for then, now in (({"transformers": at}, {"transformers": later}), (NEW, NEW), (NEW, OLD), ({}, NEW), (OLD, OLD)):
        assert by_rule([one], then, now, NAMING) == ([one], {})
    assert by_rule([one], OLD, {"transformers": at}, NAMING)[0] == []


def test_every_rule_says_where_it_comes_from_and_is_of_a_known_field():
    fields = {field for names in ASPECTS.values() for field in names}
    assert all(rule.origin and rule.field in fields for rule in RULES)


def test_renamed_keys_are_there_under_both_names():
    gone = Difference("missing", Place("saved", "saved tensor", subject=BEFORE), None, "0f", "not seen")
    come = Difference("missing", Place("saved", "saved tensor", subject=AFTER), None, "not seen", "1e")
    assert by_rule([gone, come], OLD, NEW, NAMING) == ([], {RENAMED: 2})
    assert by_rule([gone], OLD, NEW, NAMING) == ([gone], {}), "a tensor that is saved no longer is lost"
    assert by_rule([come], OLD, NEW, NAMING) == ([come], {})
    assert by_rule([gone, come], {"transformers": "4.57.6"}, NEW, NAMING) == ([gone, come], {})
    other = replace(come, place=replace(come.place, subject=AFTER.replace("layers.0", "layers.1")))
    assert by_rule([gone, other], OLD, NEW, NAMING) == ([gone, other], {})


LOSS = Difference("different", Place("training", "loss", 0, 0), None, "1", "2")
TOKENS = Difference("different", Place("reloaded", "encoded tokens", subject="image/input_ids"), None, "1", "2")
TEXT = replace(TOKENS, place=replace(TOKENS.place, subject="text/input_ids"))
ENTRY = Incompatible(golden="a/b[c]@4.45", fields=("encoded tokens",), says="image/", reason="why", link="https://x")


def test_a_known_incompatibility_excuses_its_fields_alone():
    left, told, gone = excused([LOSS, TOKENS], [ENTRY])
    assert left == [LOSS]
    assert gone == []
    assert [(one.reason, one.places, one.aspects) for one in told] == [("why", 1, ("tokens",))]


def test_one_that_is_seen_no_more_is_told_and_excuses_nothing():
    assert excused([TEXT], [ENTRY]) == ([TEXT], (), [ENTRY])


def test_an_entry_is_of_the_goldens_it_names():
    assert ENTRY.of("a/b[c]@4.45")
    assert not ENTRY.of("a/b[c]")
    assert not ENTRY.of("a/b[c]@4.52")


def test_a_broken_entry_is_refused_in_one_line(tmp_path):
    (tmp_path / "known_failures.yaml").write_text("- golden: a\n  fields: [loss]\n")
    with pytest.raises(Refused, match="entry 1"):
        read_known(tmp_path)
    (tmp_path / "known_failures.yaml").write_text("golden: a\n")
    with pytest.raises(Refused, match="is no list"):
        read_known(tmp_path)
