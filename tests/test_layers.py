"""Who may import whom, and how large a file and a function may grow."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.api import read_configuration

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "harness").rglob("*.py"))
LINES_OF_A_FILE = 320
LINES_OF_A_FUNCTION = 60


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    """import-linter over the harness under a root, with that root's contracts."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def test_the_import_contracts_hold() -> None:
    done = lint(ROOT)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        pytest.param(
            "families/family.py", "import harness.running.runner", "its own layer and those below", id="upwards"
        ),
        pytest.param("unplaced.py", "", "its own layer and those below", id="a module in no layer"),
        pytest.param("checks/frozen.py", "import harness.tuning", "judging side knows nothing", id="judging to making"),
        pytest.param(
            "trace/reader.py", "import harness.trace.writer", "judging side knows nothing", id="judging to torch"
        ),
        pytest.param(
            "faults/where.py", "from harness.checks import CHECKS", "making side knows", id="making to judging"
        ),
        pytest.param("recording/clock.py", "import harness.intent", "torch and the standard library", id="recorder"),
    ],
)
def test_each_contract_notices_one_import(tmp_path: Path, file: str, line: str, broken: str) -> None:
    shutil.copytree(ROOT / "harness", tmp_path / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "harness" / file).open("a") as altered:
        altered.write(f"\ndef later():\n    {line or 'pass'}\n")

    done = lint(tmp_path)

    assert done.returncode == 1
    assert re.search(rf"{broken}.* BROKEN", done.stdout)


def layers() -> dict[str, int]:
    """Each top-level name of the harness and the number of its layer, from the contract."""
    contracts = read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
    (contract,) = [one for one in contracts if one["id"] == "layers"]
    from_below = enumerate(reversed(contract["layers"]))
    return {name.strip(" ()"): number for number, row in from_below for name in row.split(":")}


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def test_the_design_has_six_layers() -> None:
    assert set(layers().values()) == set(range(6))


@pytest.mark.parametrize("path", sorted((ROOT / "harness").glob("*/__init__.py")), ids=lambda path: path.parent.name)
def test_a_package_says_its_layer(path: Path) -> None:
    assert re.match(rf"Layer {layers()[path.parent.name]}[.,] ", docstring(path))


def test_a_module_that_says_its_layer_says_the_right_one() -> None:
    said = {path: re.match(r"Layer (\d)", docstring(path)) for path in FILES}
    places = {path: layers().get(path.relative_to(ROOT / "harness").parts[0].removesuffix(".py")) for path in FILES}

    assert {str(path) for path, match in said.items() if match and int(match[1]) != places[path]} == set()
    assert sum(match is not None for match in said.values()) > 20


def test_every_file_says_what_it_is_for() -> None:
    assert [str(path) for path in FILES if len(docstring(path).split()) < 3] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT / "harness").as_posix())
def test_a_file_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < LINES_OF_A_FILE


def test_functions_are_short() -> None:
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
    functions = [
        (f"{path}: {node.name}", (node.end_lineno or 0) - node.lineno + 1)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    assert {name: lines for name, lines in functions if lines > LINES_OF_A_FUNCTION} == {}
    assert len(functions) > 300
