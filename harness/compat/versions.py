"""What is asked of a version when one looks for the first that diverges: its run, and loading in both directions."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.comparator import Verdict, across_stacks, compare
from harness.compat.bisecting import Unavailable
from harness.compat.judging import own_cell
from harness.compat.loading import Loaded
from harness.compat.matrix import Workshop, cells_of
from harness.compat.saving import Saved, Wanted
from harness.compat_table import Cell, Outcome
from harness.golden.seen import with_inputs_and_loads
from harness.refusal import Refused
from harness.stacks import AskedStack, Layered

Question = Literal["forward", "backward", "run"]
QUESTIONS: dict[Question, str] = {
    "forward": "what the oldest saves, loaded by the newer",
    "backward": "what the newer saves, loaded by the oldest",
    "run": "the same run under both",
}
"""In the order in which their answers are given."""


@dataclass(frozen=True)
class Divergence:
    """The first thing in which a version is not as the oldest: of which recipe, asked how, which field, in words."""

    recipe: str
    question: Question
    field: str
    told: str


@dataclass
class Asking:
    """Asks versions. `make` makes a stack be there; what was saved under the oldest version is kept."""

    workshop: Workshop
    make: Callable[[AskedStack], Layered]
    library: str
    beside: Mapping[str, str]
    wanted: Sequence[Wanted]
    questions: Sequence[Question]
    oldest: str
    _saved: dict[str, list[Saved]] = field(default_factory=dict)
    _stacks: dict[str, Layered] = field(default_factory=dict)
    _own: list[Loaded] = field(default_factory=list)

    def prepare(self) -> None:
        """Save under the oldest version. Raises Refused where that does not even load what it saves itself."""
        self._stack(self.oldest)
        self._save(self.oldest)
        self._own = self.workshop.loaded([self._stacks[self.oldest]], self._saved)
        for one in self._own:
            cell = own_cell(one)
            if cell.outcome is not Outcome.LOADS:
                told = f"{cell.outcome.words}{f': {cell.error}' if cell.error else ''}"
                raise Refused(f"{self.library} {self.oldest}, the oldest, does not load its own {cell.recipe}: {told}")
        if lost := next((one for one in self._saved[self.oldest] if not one.there), None):
            told = lost.error or lost.lacking
            raise Refused(f"{self.library} {self.oldest}, the oldest, does not save {lost.wanted.recipe_id}: {told}")

    def diverges(self, version: str) -> Divergence | None:
        """The first thing in which a version diverges from the oldest."""
        stack, oldest = self._stack(version), self._stacks[self.oldest]
        self._save(version)
        both = {name: self._saved[name] for name in (self.oldest, version)}
        forward = {(self.oldest, version)} if "forward" in self.questions else set()
        backward = {(version, self.oldest), (version, version)} if "backward" in self.questions else set()
        loads = [*self._own, *self.workshop.loaded([oldest, stack], both, forward | backward)]
        found = next(self._divergences(version, both, loads), None)
        shutil.rmtree(self.workshop.place.folder_of(version), ignore_errors=True)  # disks are small
        return found

    def _divergences(
        self, version: str, saves: Mapping[str, list[Saved]], loads: Sequence[Loaded]
    ) -> Iterator[Divergence]:
        cells = {
            (cell.recipe, cell.saved_under, cell.loaded_under): cell
            for cell in cells_of([self.oldest, version], saves, loads)
        }
        for one, other in zip(saves[self.oldest], saves[version], strict=True):
            recipe = one.wanted.recipe_id
            for question in (name for name in QUESTIONS if name in self.questions):
                if question == "run":
                    told = _run(one, other)
                else:
                    ends = (self.oldest, version) if question == "forward" else (version, self.oldest)
                    told = _load(cells[(recipe, *ends)])
                if told:
                    yield Divergence(recipe, question, *told)

    def _save(self, version: str) -> None:
        self._saved[version] = self.workshop.saved([self._stacks[version]], self.wanted)[version]

    def _stack(self, version: str) -> Layered:
        """The stack of a version; what is beside it is the same for all."""
        if version not in self._stacks:
            versions = {**self.beside, self.library: version}
            try:
                self._stacks[version] = self.make(AskedStack(name=version, versions=versions))
            except Refused as refused:
                if version == self.oldest:
                    raise
                raise Unavailable(str(refused)) from None
        return self._stacks[version]


def _load(cell: Cell) -> tuple[str, str] | None:
    """The field and the words of a load that is not as it should be."""
    if cell.outcome is Outcome.LOADS:
        return None
    if cell.outcome in (Outcome.ERROR, Outcome.NOT_APPLICABLE):
        return "loads", cell.error or cell.reason
    if cell.outcome is Outcome.KEYS_LOST:
        keys = (*cell.missing, *cell.mismatched) or cell.unexpected
        return "keys", f"{len(keys)} keys lost: {', '.join(keys[:3])}{' …' if len(keys) > 3 else ''}"
    gap = cell.largest
    words = f" at {gap.where}: {gap.first} and {gap.second}" if gap else ""
    return cell.differing[0] if cell.differing else "outputs", f"{', '.join(cell.differing)} differ{words}"


def _run(one: Saved, other: Saved) -> tuple[str, str] | None:
    """The field and the words of the first difference of two runs."""
    if not other.there:
        return "run", other.error or other.lacking
    assert one.trace is not None
    assert other.trace is not None
    tolerances = with_inputs_and_loads(across_stacks(one.trace, other.trace), one.wanted.recipe)
    found = compare(one.trace, other.trace, tolerances, may_differ=("data",))
    if found.verdict is Verdict.NOT_COMPARABLE:
        return "run", found.reasons[0]
    return (found.first.place.field, str(found.first)) if found.first else None
