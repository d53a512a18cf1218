"""Incompatibilities of released libraries that goldens of other stacks have shown: by name, with a public link.

They lie beside the goldens. An entry excuses the fields that it names, of the goldens that it names, and nothing else;
one that excuses nothing any more has to go.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.comparator import Difference
from harness.frozen import Frozen
from harness.recipe.suite import refusal_of
from harness.recipe.yaml_file import read_yaml
from harness.refusal import Refused
from harness.verdict import KNOWN_FAILURES


class Incompatible(Frozen):
    """What of which goldens is known not to agree: fields, what the first of them says (a regular expression), why."""

    golden: str
    fields: tuple[str, ...]
    says: str
    reason: str
    link: str

    def of(self, name: str) -> bool:
        return fnmatch.fnmatchcase(name, self.golden.replace("[", "[[]"))

    def covers(self, one: Difference) -> bool:
        return one.place.field in self.fields

    def is_seen(self, found: Collection[Difference]) -> bool:
        return any(one.place.field == self.fields[0] and re.search(self.says, str(one)) for one in found)


@dataclass(frozen=True)
class Excused:
    """A known incompatibility that was seen again, and in how many places."""

    reason: str
    link: str
    places: int
    aspects: tuple[str, ...] = ()


def read_known(golden: Path) -> tuple[Incompatible, ...]:
    """The entries beside goldens. Raises Refused, in one line, for one that is broken."""
    path = golden / KNOWN_FAILURES
    entries = (read_yaml(path, "known incompatibilities") or []) if path.exists() else []
    if not isinstance(entries, list):
        raise Refused("is no list", where=str(path), do="begin each entry with '- golden:'")
    known = []
    for number, entry in enumerate(entries, start=1):
        try:
            known.append(Incompatible.model_validate(entry))
        except ValidationError as error:
            raise refusal_of(error, f"{path}: entry {number}") from None
    return tuple(known)


def unused_entries(known: Sequence[Incompatible], names: Collection[str]) -> list[Incompatible]:
    """Entries that are of no golden."""
    return [one for one in known if not any(one.of(name) for name in names)]


def excused(
    found: Sequence[Difference], known: Sequence[Incompatible]
) -> tuple[list[Difference], tuple[Excused, ...], list[Incompatible]]:
    """The differences that no entry excuses; what was excused; and entries of this golden that are seen no more."""
    from harness.golden.drift import aspect_of

    left, told, gone = list(found), [], []
    for entry in known:
        if not entry.is_seen(found):
            gone.append(entry)
            continue
        covered = [one for one in left if entry.covers(one)]
        left = [one for one in left if not entry.covers(one)]
        aspects = tuple(dict.fromkeys(aspect_of(one) for one in covered))
        told.append(Excused(entry.reason, entry.link, len(covered), aspects))
    return left, tuple(told), gone
