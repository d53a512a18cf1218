"""Layer 0. How people name parameters in an intent file: components, globs, and regular expressions between slashes.

A glob stands for whole parts of a dotted name: `multi_modal_projector` is every parameter of a module of that name,
`layers.{30..31}` of the two, `*.bias` of all biases. `*` goes over dots, `{a,b}` are choices, `{0..11}` numbers.
"""

from __future__ import annotations

import re
from functools import lru_cache

from harness.recipe.components import COMPONENTS, UNIONS

TAKEN_BACK = "!"
"""What a pattern begins with that takes back what those before it have named."""

_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST = 10_000  # numbers that a range may stand for: more is a slip


def is_component(text: str) -> bool:
    """Whether it names a component, or a union of them."""
    return text in COMPONENTS or text in UNIONS


def checked(text: str) -> str:
    """The pattern as it is written, or ValueError for what is none."""
    bare = text.removeprefix(TAKEN_BACK)
    if not bare or bare != bare.strip():
        raise ValueError(f"{text!r} names nothing; write a component, a name, a glob or /a regular expression/")
    if not is_component(bare):
        expression(bare)
    return text


def expression(text: str) -> re.Pattern[str]:
    """What a pattern means, for `search` on a parameter's name. Raises ValueError for what is none."""
    if len(text) > 1 and text.startswith("/") and text.endswith("/"):
        try:
            return re.compile(text[1:-1])
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    return re.compile(rf"(?:^|\.){_glob(text)}(?:\.|$)")


@lru_cache(maxsize=4096)
def _searching(text: str) -> re.Pattern[str]:
    return expression(text)


def meets(text: str, *names: str) -> bool:
    """Whether a pattern, which is no component, is about the parameter with these names."""
    return any(_searching(text).search(name) for name in names)


def _glob(text: str) -> str:
    """A glob as a part of a regular expression."""
    parts: list[str] = []
    at = 0
    while at < len(text):
        letter = text[at]
        if letter == "{":
            end = text.find("}", at)
            if end < 0:
                raise ValueError(f"{text!r} opens a brace and does not close it; write {{a,b}} or {{0..11}}")
            parts.append(_choices(text[at + 1 : end], text))
            at = end
        else:
            parts.append({"*": ".*", "?": "[^.]"}.get(letter, re.escape(letter)))
        at += 1
    return "".join(parts)


def _choices(inside: str, text: str) -> str:
    found: list[str] = []
    for part in inside.split(","):
        numbers = _RANGE.fullmatch(part.strip())
        if numbers is None:
            if not part.strip() or "{" in part:
                raise ValueError(f"{text!r} has an empty or nested choice in braces; write {{a,b}} or {{0..11}}")
            found.append(_glob(part.strip()))
            continue
        first, last = int(numbers[1]), int(numbers[2])
        if not first <= last <= first + _MOST:
            raise ValueError(f"{text!r} counts from {first} to {last}; write the smaller number first")
        found += [str(number) for number in range(first, last + 1)]
    return f"(?:{'|'.join(found)})"
