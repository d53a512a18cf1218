"""Which parameters of a trace a list of patterns names, and the same as expressions on canonical keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.checks.written import names_of
from harness.patterns import TAKEN_BACK, is_component, meets
from harness.recipe.components import expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.trace.reader import Trace


class Named:
    """The parameters of a trace under one naming, and the names by which people know each."""

    def __init__(self, trace: Trace) -> None:
        self.trace, self.naming = trace, trace.naming
        self.parameters = [p for p in trace.parameters if p.role != "adapter"]
        self._names = {p.index: names_of(p, trace) for p in trace.parameters}

    def by(self, pattern: str) -> set[int]:
        """The parameters that one pattern is about, by index."""
        text = pattern.removeprefix(TAKEN_BACK)
        if is_component(text):
            wanted = set(expand(text))
            return {p.index for p in self.parameters if p.component in wanted}
        return {p.index for p in self.trace.parameters if meets(text, *self._names[p.index])}

    def by_all(self, patterns: Iterable[str]) -> set[int]:
        """The parameters that a list names: one that begins with ! takes back what those before it have named."""
        found: set[int] = set()
        for pattern in patterns:
            found = found - self.by(pattern) if pattern.startswith(TAKEN_BACK) else found | self.by(pattern)
        return found

    def keys(self, indices: Iterable[int]) -> set[str]:
        wanted = set(indices)
        return {p.key for p in self.parameters if p.index in wanted}

    def expressions(self, patterns: Sequence[str], indices: set[int]) -> tuple[str, ...]:
        """Expressions on canonical keys that name just these of the model's own parameters.

        Those of whole components stay what the naming says, so that a component can be told to be trained whole.
        """
        wanted = self.keys(indices)
        whole = tuple(
            rule
            for pattern in patterns
            if is_component(pattern)
            for rule, component in self.naming.components
            if component in expand(pattern)
        )
        met = {p.key for p in self.parameters if any(re.match(rule, p.key) for rule in whole)}
        if met <= wanted:
            return whole + _exactly(wanted - met)
        return _exactly(wanted)


def _exactly(keys: set[str]) -> tuple[str, ...]:
    """One expression for these keys alone."""
    return (rf"(?:{'|'.join(map(re.escape, sorted(keys)))})\Z",) if keys else ()
