"""What importing costs, and what a wheel holds."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "transformers", "peft", "accelerate", "safetensors", "torchvision", "PIL")


def loaded_by(code: str) -> set[str]:
    """The top-level packages that are loaded once the code has run in an interpreter of its own."""
    told = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", told], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import harness; harness.Intent()", id="the public face"),
        pytest.param("import harness.cli.main", id="command line"),
        pytest.param("from harness.checks import CHECKS\nassert len(list(CHECKS)) > 10", id="all checks"),
        pytest.param(
            "from pathlib import Path\nfrom harness.recipe import read_suite\n"
            "assert all(read_suite(path).recipes for path in Path('suites').glob('*.yaml') if path.name[0] != 'k')",
            id="the shipped suites",
        ),
        pytest.param(
            "from harness.families import family, names\nassert all(family(name).sizes for name in names())",
            id="all families",
        ),
        pytest.param("import harness.pytest_plugin, harness.pytest_session", id="pytest plugin"),
        pytest.param(
            "import harness.running.planner, harness.running.runner, harness.running.session, harness.verdict",
            id="planning",
        ),
        pytest.param("import harness.report, harness.store, harness.trace.reader", id="reports"),
    ],
)
def test_it_loads_none_of_the_libraries_under_test(code: str) -> None:
    loaded = loaded_by(code)

    assert "harness" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_a_plan_loads_none_of_the_libraries_under_test() -> None:
    code = (
        "from harness.checks import CHECKS\n"
        "from harness.recipe import Recipe\n"
        "from harness.running.planner import plan\n"
        "assert plan('r', Recipe(family='llava-1.5-7b', tune='connector'), CHECKS).runs"
    )

    assert loaded_by(code).isdisjoint(HEAVY)


def test_the_recorder_starts_with_nothing_but_torch() -> None:
    forbidden = (
        "pydantic",
        "yaml",
        "jinja2",
        "rich",
        "typer",
        "pytest",
        "transformers",
        "peft",
        "accelerate",
        "safetensors",
    )
    code = (
        f"import sys\nfor name in {forbidden!r}: sys.modules[name] = None\n"
        "import harness.recording, harness.trace.writer\n"
        f"for name in {forbidden!r}: del sys.modules[name]"
    )

    assert {"harness", "torch"} <= loaded_by(code)


def test_everything_the_project_asks_for_is_pinned() -> None:
    tomllib = pytest.importorskip("tomllib", reason="came with Python 3.11")
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*asked["dependencies"], *(one for extra in asked["optional-dependencies"].values() for one in extra)]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {line.partition("==")[0].lower() for line in lines if re.fullmatch(r"[\w-]+==[\d.]+", line)}

    assert {re.match(r"[\w-]+", one)[0].lower() for one in wanted} <= pins
    assert len(pins) == sum(not line.startswith("#") for line in lines)


@pytest.mark.slow
def test_the_wheel_holds_what_is_read_at_run_time(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    (wheel,) = tmp_path.glob("finetune_harness-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        held = set(packed.namelist())
        metadata = next(packed.read(name).decode() for name in held if name.endswith("METADATA"))

    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "harness").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in held if name.startswith("harness/")} == wanted
    assert {
        "harness/report/page/page.html.jinja",
        "harness/report/page/page.css",
        "harness/report/page/page.js",
        "harness/data/samples/conversations.json",
    } <= held
    assert any(name.startswith("harness/data/samples/images/") for name in held)
    assert {name.partition("/")[0] for name in held} == {"harness", f"{wheel.name.split('-py3')[0]}.dist-info"}
    assert "Requires-Dist: pydantic" in metadata
    assert not [
        line for line in metadata.splitlines() if line.startswith("Requires-Dist: torch") and "extra" not in line
    ]
