"""The mutation score that is shown is one that the session lets pass, and explanations are of code that is there.

The page tells of the code as it was when the session was run: measuring again is the session's work, not the tests'.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from tests.docs.conftest import ROOT, written_by


def loaded() -> Any:
    return written_by("mutation.py")


MUTATION = loaded()
EXPLAINED = MUTATION.read_explained()
PAGE = MUTATION.PAGE.read_text(encoding="utf-8")
ROWS = [
    [cell.strip(" `%") for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if re.match(r"\| (?:all|`)", line)
]


def is_there(file: str, function: str) -> bool:
    """Whether a file has a function, which a class may own."""
    path = ROOT / file
    nodes: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))] if path.exists() else []
    for name in function.split("."):
        nodes = [
            found
            for node in nodes
            for found in ast.iter_child_nodes(node)
            if isinstance(found, (ast.FunctionDef, ast.ClassDef)) and found.name == name
        ]
    return bool(nodes)


@pytest.mark.parametrize("change", EXPLAINED, ids=lambda change: f"{change.file}-{change.function}-{change.becomes}")
def test_an_explained_survivor_is_of_a_function_that_is_there(change) -> None:
    """Whether it is still of a line of it, only the session can tell: it fails for an explanation too many."""
    assert is_there(change.file, change.function), "take the explanation out"
    assert change.becomes != change.line
    assert EXPLAINED[change].strip(), "without a reason it explains nothing"


def test_an_explanation_of_a_function_that_is_gone_is_noticed() -> None:
    assert is_there("harness/verdict.py", "Baseline.read")
    assert not is_there("harness/verdict.py", "Baseline.gone")
    assert not is_there("harness/verdict.py", "read")
    assert not is_there("harness/gone.py", "read")


def test_the_score_is_high_enough_and_every_survivor_is_explained() -> None:
    name, mutants, killed, explained, unexplained, score = ROWS[0]

    assert name == "all"
    assert int(unexplained) == 0
    assert int(mutants) == int(killed) + int(explained)
    assert float(score) == round(100 * int(killed) / int(mutants), 1) >= MUTATION.LEAST
    assert int(explained) > 0


def test_all_is_the_sum_of_the_files() -> None:
    sums = [sum(int(row[column]) for row in ROWS[1:]) for column in range(1, 5)]

    assert [str(number) for number in sums] == ROWS[0][1:5]
    assert {str(Path(row[0]).parent) for row in ROWS[1:]} == {"harness", "harness/checks", "harness/comparator"}


def test_a_survivor_that_nobody_has_explained_is_shown_as_such() -> None:
    known, new = (MUTATION.Change("a.py", "f", "x = 1", becomes) for becomes in ("x = 2", "x = None"))
    counts = {"a.py": MUTATION.Count(18, [known, new])}

    text = MUTATION.page(counts, {known})

    assert "| all | 20 | 18 | 1 | 1 | 90.0 % |" in text.splitlines()
    assert "| `a.py` | 20 | 18 | 1 | 1 | 90.0 % |" in text.splitlines()
