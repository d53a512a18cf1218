"""Under which keys the library saves what a model has in memory, as rules that rename one to the other."""

from __future__ import annotations

import re
from collections.abc import Mapping

Renames = tuple[tuple[str, str], ...]


def renames_of(saved: Mapping[str, str]) -> Renames | None:
    """Rules from paths in memory to saved keys, the longest first: what is equal at the end is left out of them. None
    where no such rules take each path to its own key and leave keys as they are."""
    rules: dict[str, str] = {}
    for path, key in sorted(saved.items()):
        if path == key:
            continue
        ours, theirs = path.split("."), key.split(".")
        while len(ours) > 1 and len(theirs) > 1 and ours[-1] == theirs[-1]:
            ours.pop()
            theirs.pop()
        pattern, replacement = _with_numbers(ours, theirs)
        rules[pattern] = replacement
    found = tuple(sorted(rules.items(), key=lambda rule: (-rule[0].count("\\."), rule[0])))
    kept = all(renamed(path, found) == key == renamed(key, found) for path, key in saved.items())
    return found if kept else None


def _with_numbers(ours: list[str], theirs: list[str]) -> tuple[str, str]:
    """The same rule for every layer: numbers that both sides have, in the same order, are groups."""
    numbers = [word for word in ours if word.isdigit()]
    if numbers != [word for word in theirs if word.isdigit()]:
        return rf"^{re.escape('.'.join(ours))}(?=\.|$)", ".".join(theirs)
    pattern = r"\.".join(r"(\d+)" if word.isdigit() else re.escape(word) for word in ours)
    count = iter(range(1, len(numbers) + 1))
    return rf"^{pattern}(?=\.|$)", ".".join(rf"\g<{next(count)}>" if word.isdigit() else word for word in theirs)


def renamed(path: str, rules: Renames) -> str:
    for pattern, replacement in rules:
        new, count = re.subn(pattern, replacement, path, count=1)
        if count:
            return new
    return path
