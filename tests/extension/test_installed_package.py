"""A package that brings a family, an engine, a loader and a check: installed by pip, found by name, used from a suite.

The package holds the files of docs/own-model.md, as they are there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.conftest import blocks

MODULES = ("own_model.py", "own_family.py", "own_trainer.py", "own_checks.py")
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "of-somebody-else"
version = "1.0"

[tool.hatch.build.targets.wheel]
only-include = ["own_model.py", "own_family.py", "own_trainer.py", "own_checks.py"]

[project.entry-points."harness.families"]
somebodys-model = "own_family:FAMILY"

[project.entry-points."harness.checks"]
own_checks = "own_checks"

[project.entry-points."harness.engines"]
somebodys-loop = "own_trainer:train"

[project.entry-points."harness.loaders"]
somebodys-model = "own_model:load_model"
somebodys-processor = "own_model:load_processor"
"""
SUITE = """
family: somebodys-model
defaults: {steps: 5, engine: somebodys-loop}
recipes:
  named:
    tune: [connector]
    save: {loader: somebodys-model, processor_loader: somebodys-processor}
"""
OF_THE_PACKAGE = "steps_we_pay_for"
LOOKED_AT = f"run.completed or saved_directory_loads or processor_reloads or {OF_THE_PACKAGE}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package was installed, beside nothing else."""
    source, place = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for block in blocks("docs/own-model.md"):
        if block.name in MODULES:
            (source / block.name).write_text(block.text, encoding="utf-8")
    (source / "pyproject.toml").write_text(PROJECT)
    alone = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet")
    subprocess.run([sys.executable, "-m", "pip", "install", *alone, "--target", place, source], check=True)
    return place


@pytest.fixture(scope="module")
def with_package(run_harness, environment, site):
    """The installed command, where the package can be found too."""
    path = os.pathsep.join(filter(None, (str(site), environment.get("PYTHONPATH"))))

    def run(*arguments, folder):
        return run_harness(*arguments, folder=folder, PYTHONPATH=path)

    return run


def test_the_package_lies_where_it_was_installed_with_its_entry_points(site) -> None:
    (about,) = site.glob("of_somebody_else-1.0.dist-info")

    assert all((site / module).is_file() for module in MODULES)
    assert "[harness.families]" in (about / "entry_points.txt").read_text()


def test_its_family_and_its_check_are_listed(with_package, run_harness, tmp_path) -> None:
    def names(kind: str, run) -> set[str]:
        ran = run("list", kind, "--json", folder=tmp_path)
        assert ran.status == 0, ran
        return {one["name"] for one in json.loads(ran.out)}

    assert names("families", with_package) - names("families", run_harness) == {"somebodys-model"}
    assert names("checks", with_package) - names("checks", run_harness) == {OF_THE_PACKAGE}


def test_a_suite_uses_it_by_name(with_package, tmp_path) -> None:
    (tmp_path / "theirs.yaml").write_text(SUITE)

    ran = with_package("run", "theirs.yaml", "-k", LOOKED_AT, folder=tmp_path)

    lines = (tmp_path / "harness-out" / "results.jsonl").read_text().splitlines()
    results = {one["check"]: one for one in map(json.loads, lines)}
    assert (ran.status, {check: one["status"] for check, one in results.items()}) == (
        1,
        {
            "run.completed": "passed",
            "saved_directory_loads": "passed",
            "processor_reloads": "passed",
            OF_THE_PACKAGE: "failed",  # its limit is 4 steps, and the suite takes 5
        },
    ), ran.out
    assert results["saved_directory_loads"]["reason"] == "loaded by somebodys-model and somebodys-processor"


def test_without_the_package_the_suite_is_refused(run_harness, tmp_path) -> None:
    (tmp_path / "theirs.yaml").write_text(SUITE)

    assert "engine 'somebodys-loop' is not installed" in run_harness("run", "theirs.yaml", folder=tmp_path).refusal
