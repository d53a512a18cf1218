"""What was saved is loaded once more by an interpreter that has imported nothing: forks of a warm parent hide nothing.

It is started with -I: no environment, no user's folder, no working directory leads it to modules of ours but the
installed package, and of that it imports nothing but what loads directories. Where a recipe names a loader of its own,
the folder that this lies in is named too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.checks import CHECKS
from harness.checks.judging import judge
from harness.intent import Intent
from harness.launch.job import SINGLE_THREADED
from harness.places import RELOAD, REQUEST
from harness.recipe import read_suite
from harness.running.session import Session
from harness.trace.reader import read_trace

FOLDER = Path(__file__).parents[2] / "suites"
SUITES = sorted(set(FOLDER.glob("*.yaml")) - {FOLDER / "known_failures.yaml"}, key=lambda path: path.stem)
ALONE = """
import json, sys
sys.path += sys.argv[2:]
from harness.reloading.jobs import reload
reload(json.load(open(sys.argv[1])))
strangers = [name for name in sys.modules if name.startswith(("harness.families", "harness.making", "harness.tuning"))]
sys.exit(", ".join(strangers) or 0)
"""


def _one_of_each_system() -> dict[str, tuple[str, Any]]:
    """The first recipe of each system's suites that trains from its family's own base, in one run, and saves a whole
    directory."""
    first: dict[str, tuple[str, Any]] = {}
    for path in SUITES:
        suite = read_suite(path)
        for name, recipe in suite.recipes.items():
            system = suite.name.partition("-")[0]
            alone = (
                recipe.processes == 1 and recipe.budget is None and recipe.engine == "torch" and not recipe.agrees_with
            )
            if recipe.saves == "full" and recipe.start_from == "fresh" and alone:
                first.setdefault(system, (f"{suite.name}/{name}", recipe))
    return first


SYSTEMS = _one_of_each_system()
OF_ONE_RUN = [check for check in CHECKS if not check.partners]


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_fresh_interpreter_finds_what_the_warm_one_found(system: str, warm: Any, bases: Path, tmp_path: Path) -> None:
    recipe_id, recipe = SYSTEMS[system]
    results = Session(warm, tmp_path, bases=bases).results(recipe_id, recipe, [check.name for check in OF_ONE_RUN])
    run = next((tmp_path / "runs").glob("*/trace")).parent
    forked = (run / "trace" / "reload" / "events.jsonl").read_text()

    request = json.loads((run / RELOAD / REQUEST).read_text())
    shutil.rmtree(run / "trace" / "reload")
    request["modules"] = str(tmp_path / "modules")
    (tmp_path / "request.json").write_text(json.dumps(request))
    command = [sys.executable, "-I", "-c", ALONE, str(tmp_path / "request.json")]
    command += [str(SUITES[0].parent)] if recipe.loaders else []
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **SINGLE_THREADED}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert (run / "trace" / "reload" / "events.jsonl").read_text() == forked
    trace = read_trace(run / "trace")
    intent = Intent.model_validate(trace.header["intent"])
    again = {check.name: judge(check, recipe_id, intent, trace, {}) for check in OF_ONE_RUN}
    assert {name: result.status for name, result in again.items()} == {name: results[name].status for name in again}
