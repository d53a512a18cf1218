"""Write docs/mutation.md from what mutmut left in `mutants/`: `nox -s mutation`, or `python docs/mutation.py`.

Exits with 1 if too few mutants were killed, or if one lives that docs/survivors.yaml does not explain.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parent.parent
EXPLAINED = ROOT / "docs" / "survivors.yaml"
PAGE = ROOT / "docs" / "mutation.md"
LEAST = 90.0  # per cent of all mutants that the tests kill
KILLED = ("killed", "timeout")  # a mutant that never ends is noticed too

HEAD = """\
# Mutation score of the judging side

Written by `nox -s mutation`, which takes [mutmut](https://mutmut.readthedocs.io) to all that judges: the checks, what
they need, the comparator and the verdict. A mutant is one small change to the code: another operator, constant,
argument or string. It is killed if a test of `tests/judging` fails under it, or one of the comparator on recordings
that were written by hand, and survives otherwise. The checks themselves are mutated too, which mutmut alone would not
do, for it passes over decorated functions (`tests/mutation.py`). Tables of modules, the bodies of classes and the
arguments of decorators are not.

Every survivor was read. Either nothing that can be observed depends on the change, and
[survivors.yaml](survivors.yaml) says why, or the session fails, as it does below {least:g} %.
The figures are of the code as it was when the session was last run.

"""


class Change(NamedTuple):
    """What a mutant changes, however the lines around it are numbered."""

    file: str
    function: str
    line: str
    becomes: str


@dataclass
class Count:
    """The mutants of one file."""

    killed: int = 0
    survivors: list[Change] = field(default_factory=list)

    @property
    def all(self) -> int:
        return self.killed + len(self.survivors)

    def row(self, name: str, explained: set[Change]) -> str:
        known = sum(change in explained for change in self.survivors)
        score = 100 * self.killed / self.all
        cells = (name, self.all, self.killed, known, len(self.survivors) - known, f"{score:.1f} %")
        return f"| {' | '.join(map(str, cells))} |"


def read_explained() -> dict[Change, str]:
    """Why each explained survivor cannot be told from the code as it is."""
    entries = yaml.safe_load(EXPLAINED.read_text(encoding="utf-8")) or []
    return {
        Change(entry["file"], entry["function"], entry["line"], becomes): entry["reason"]
        for entry in entries
        for becomes in entry["becomes"]
    }


def counted() -> dict[str, Count]:
    """What became of every mutant, by file."""
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.stats import status_by_exit_code

    counts: dict[str, Count] = {}
    for meta in sorted((ROOT / "mutants").rglob("*.py.meta")):
        file = meta.relative_to(ROOT / "mutants").as_posix().removesuffix(".meta")
        data = SourceFileMutationData(path=file)
        data.load()
        for mutant, code in data.exit_code_by_key.items():
            count = counts.setdefault(file, Count())
            if status_by_exit_code[code] in KILLED:
                count.killed += 1
            else:
                count.survivors.append(change_of(file, mutant))
    return counts


def change_of(file: str, mutant: str) -> Change:
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    lines = get_diff_for_mutant(mutant, path=file).splitlines()[2:]
    before, after = ("\n".join(_without_indent(lines, sign)) for sign in "-+")
    found = re.fullmatch(r".*\.x(?:_|ǁ(?P<owner>\w+)ǁ)(?P<name>\w+)__mutmut_\d+", mutant)
    if found is None:
        raise ValueError(f"mutmut names its mutants otherwise now: {mutant}")
    return Change(file, ".".join(filter(None, (found["owner"], found["name"]))), before, after)


def _without_indent(lines: list[str], sign: str) -> Iterator[str]:
    return (line[1:].strip() for line in lines if line.startswith(sign))


def page(counts: dict[str, Count], explained: set[Change]) -> str:
    whole = Count()
    for count in counts.values():
        whole.killed += count.killed
        whole.survivors += count.survivors
    rows = [
        "| file | mutants | killed | explained | unexplained | score |",
        "| --- | --- | --- | --- | --- | --- |",
        whole.row("all", explained),
        *(count.row(f"`{file}`", explained) for file, count in counts.items()),
    ]
    return HEAD.format(least=LEAST) + "\n".join(rows) + "\n"


def main() -> int:
    counts, explained = counted(), read_explained()
    PAGE.write_text(page(counts, set(explained)), encoding="utf-8")
    survivors = [change for count in counts.values() for change in count.survivors]
    for change in survivors:
        if change not in explained:
            print(f"{change.file}, {change.function}:\n  - {change.line}\n  + {change.becomes}")
    for change in explained.keys() - set(survivors):
        print(f"explained, and no survivor: {change.file}, {change.function}: {change.becomes}")
    killed = sum(count.killed for count in counts.values())
    score = 100 * killed / (killed + len(survivors))
    print(f"{score:.1f} % of {killed + len(survivors)} mutants were killed; {PAGE.relative_to(ROOT)} is written")
    return int(score < LEAST or set(survivors) != explained.keys())


if __name__ == "__main__":
    sys.exit(main())
