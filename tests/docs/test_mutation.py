"""The mutation score that is shown is one that the session lets pass, and explanations are of code that is there."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from types import ModuleType

import pytest

from tests.docs.conftest import ROOT


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_mutation", ROOT / "docs" / "mutation.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look there
    spec.loader.exec_module(module)
    return module


MUTATION = loaded()
EXPLAINED = MUTATION.read_explained()
PAGE = MUTATION.PAGE.read_text(encoding="utf-8") if MUTATION.PAGE.exists() else ""
ROWS = [
    [cell.strip(" `%") for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if re.match(r"\| (?:all|`)", line)
]


def function_lines(file: str, function: str) -> str:
    """The lines of a function, without indentation."""
    source = (ROOT / file).read_text(encoding="utf-8")
    nodes: list[ast.AST] = [ast.parse(source)]
    for name in function.split("."):
        nodes = [
            found
            for node in nodes
            for found in ast.iter_child_nodes(node)
            if isinstance(found, (ast.FunctionDef, ast.ClassDef)) and found.name == name
        ]
    segments = [ast.get_source_segment(source, node) or "" for node in nodes]
    return "\n".join(line.strip() for segment in segments for line in segment.splitlines())


@pytest.mark.parametrize("change", EXPLAINED, ids=lambda change: f"{change.file}-{change.function}-{change.becomes}")
def test_an_explained_survivor_is_of_a_line_that_is_there(change) -> None:
    assert f"\n{change.line}\n" in f"\n{function_lines(change.file, change.function)}\n", "take the explanation out"
    assert change.becomes != change.line
    assert EXPLAINED[change].strip(), "without a reason it explains nothing"


def test_an_explanation_of_a_line_that_is_gone_is_noticed() -> None:
    lines = function_lines("harness/verdict.py", "Baseline.read")

    assert "return cls(_in_order(ended))" in lines
    assert "return cls(_in_order(begun))" not in lines
    assert function_lines("harness/verdict.py", "Baseline.gone") == ""


written = pytest.mark.skipif(not PAGE, reason="nox -s mutation has not written the page")


@written
def test_the_score_is_high_enough_and_every_survivor_is_explained() -> None:
    name, mutants, killed, explained, unexplained, score = ROWS[0]

    assert name == "all"
    assert int(unexplained) == 0
    assert int(mutants) == int(killed) + int(explained)
    assert float(score) == round(100 * int(killed) / int(mutants), 1) >= MUTATION.LEAST
    assert int(explained) >= len(EXPLAINED) > 0


@written
def test_all_is_the_sum_of_the_files() -> None:
    sums = [sum(int(row[column]) for row in ROWS[1:]) for column in range(1, 5)]

    assert [str(number) for number in sums] == ROWS[0][1:5]
    assert {row[0] for row in ROWS[1:]} >= {"harness/verdict.py", "harness/checks/saved.py", "harness/checks/rates.py"}


def test_a_survivor_that_nobody_has_explained_is_shown_as_such() -> None:
    known, new = (MUTATION.Change("a.py", "f", "x = 1", becomes) for becomes in ("x = 2", "x = None"))
    counts = {"a.py": MUTATION.Count(18, [known, new])}

    text = MUTATION.page(counts, {known})

    assert "| all | 20 | 18 | 1 | 1 | 90.0 % |" in text.splitlines()
    assert "| `a.py` | 20 | 18 | 1 | 1 | 90.0 % |" in text.splitlines()
