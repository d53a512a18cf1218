"""What later releases of the libraries do otherwise than those that a golden was pinned under, and rightly.

A difference passes by a rule alone: the field and the place that it names, both values as it says, and the release in
question between that of then and that of now. Each rule says where it comes from.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from harness.comparator import Difference
from harness.trace.naming import Naming

Release = tuple[int, int]


@dataclass(frozen=True)
class Rule:
    """A difference that a release of a library has brought. `gone` is what is no longer there, `come` what is new."""

    name: str
    release: Release
    field: str
    subject: str
    first: str
    second: str
    origin: str
    library: str = "transformers"

    def covers(self, one: Difference) -> bool:
        return (
            one.place.field == self.field
            and re.fullmatch(self.subject, one.place.subject) is not None
            and re.fullmatch(self.first, _text(one.first)) is not None
            and re.fullmatch(self.second, _text(one.second)) is not None
        )


_GONE, _THERE = "not seen", "[0-9a-f]+"
RULES = (
    Rule(
        "one class for all tokenizers of the tokenizers library",
        (5, 0),
        "tokenizer class",
        "",
        "LlamaTokenizerFast|PreTrainedTokenizerFast",
        "TokenizersBackend|LlamaTokenizer",
        "transformers 5 has no slow and fast tokenizers any more; what they make of text is compared by itself",
    ),
    Rule(
        "special tokens are in tokenizer_config.json",
        (5, 0),
        "saved file",
        r"special_tokens_map\.json",
        _THERE,
        _GONE,
        "transformers 5 writes them into tokenizer_config.json; its older readers take them from there as well",
    ),
    Rule(
        "settings of pictures are in processor_config.json",
        (5, 0),
        "saved file",
        r"preprocessor_config\.json",
        _THERE,
        _GONE,
        "https://github.com/huggingface/transformers/issues/44623; pixels are compared by themselves",
    ),
    Rule(
        "the chat template is a file of its own",
        (4, 52),
        "saved file",
        r"chat_template\.jinja",
        _GONE,
        _THERE,
        "measured: 4.45 has it in tokenizer_config.json, 4.52 in this file; what it says is compared by itself",
    ),
    Rule(
        "the chat template is no JSON any more",
        (4, 52),
        "saved file",
        r"chat_template\.json",
        _THERE,
        _GONE,
        "measured: 4.45 writes it, 4.52 writes chat_template.jinja; what it says is compared by itself",
    ),
)
RENAMED = "keys of an adapter have the model's new names"
MODELS_RENAMED: Release = (4, 52)  # https://github.com/huggingface/transformers/pull/37033


def by_rule(
    found: Collection[Difference], then: Mapping[str, str], now: Mapping[str, str], naming: Naming
) -> tuple[list[Difference], dict[str, int]]:
    """The differences that no rule covers, and how many each rule covers."""
    rules = [rule for rule in RULES if _between(rule.library, rule.release, then, now)]
    left: list[Difference] = []
    covered: dict[str, int] = {}
    renamed = _renamed(found, naming) if _between("transformers", MODELS_RENAMED, then, now) else frozenset()
    for one in found:
        name = next((rule.name for rule in rules if rule.covers(one)), RENAMED if one in renamed else "")
        if name:
            covered[name] = covered.get(name, 0) + 1
        else:
            left.append(one)
    return left, covered


def _renamed(found: Collection[Difference], naming: Naming) -> frozenset[Difference]:
    """Saved tensors that are there under both names of one canonical key: one then, the other now."""
    tensors = [one for one in found if one.place.field == "saved tensor" and one.kind == "missing"]
    gone = {naming.canonical(one.place.subject): one for one in tensors if one.second == _GONE}
    come = {naming.canonical(one.place.subject): one for one in tensors if one.first == _GONE}
    return frozenset(one for key in gone.keys() & come.keys() for one in (gone[key], come[key]))


def _between(library: str, release: Release, then: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Whether a release lies after the version of then and not after that of now."""
    versions = [versions.get(library) for versions in (then, now)]
    if None in versions:
        return False
    first, last = (tuple(int(part) for part in str(text).split(".")[:2]) for text in versions)
    return first < release <= last


def _text(value: object) -> str:
    return str(value)
