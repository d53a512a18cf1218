"""What is collected, and at what price."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

SUITE = """
family: llava-1.5-7b
recipes:
  one: {tune: [connector], save: {what: nothing}}
"""
COMPOSE = "services: {web: {image: nginx}}\n"
TEST = "def test_of_somebody_else():\n    assert True\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of somebody's, with suites two levels down."""
    for name in ("first", "second", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "first" / "suite.yaml").write_text(SUITE)
    (tmp_path / "second" / "other.yaml").write_text(SUITE)
    return tmp_path


def nodes(ran) -> list[str]:
    return [line for line in ran.out.splitlines() if "::" in line and not line.startswith("AGAIN")]


def test_thousands_of_items_are_collected_without_torch_and_transformers(tmp_path, run_pytest) -> None:
    recipes = "".join(f"  r{number}: {{tune: [connector], seed: {number}}}\n" for number in range(200))
    (tmp_path / "large.yaml").write_text(f"family: llava-1.5-7b\nrecipes:\n{recipes}")

    ran = run_pytest("--collect-only", "-q", "large.yaml", folder=tmp_path, PYTEST_PLUGINS="lists_commands")

    assert ran.status == 0, ran.err
    assert len(nodes(ran)) > 4000
    assert "IMPORTED" in [line.strip() for line in ran.out.splitlines()]


def test_collecting_makes_no_output_directory(folder, run_pytest) -> None:
    ran = run_pytest("--collect-only", "-q", "first/suite.yaml", folder=folder)

    assert nodes(ran)
    assert not ran.results.exists()


def test_a_yaml_file_that_is_not_named_on_the_command_line_is_not_collected(folder, run_pytest) -> None:
    (folder / "docker-compose.yaml").write_text(COMPOSE)
    (folder / "test_theirs.py").write_text(TEST)

    ran = run_pytest("--collect-only", "-q", ".", folder=folder)

    assert (ran.status, nodes(ran)) == (0, ["test_theirs.py::test_of_somebody_else"]), ran.said


def test_a_suite_and_tests_of_python_are_collected_side_by_side(folder, run_pytest) -> None:
    (folder / "test_theirs.py").write_text(TEST)

    ran = run_pytest("--collect-only", "-q", "test_theirs.py", "first/suite.yaml", folder=folder)

    assert ran.status == 0, ran.said
    assert nodes(ran)[0] == "test_theirs.py::test_of_somebody_else"
    assert nodes(ran)[1] == "first/suite.yaml::one::run.completed"


def test_a_file_that_is_named_and_is_no_suite_is_one_line_and_no_traceback(folder, run_pytest) -> None:
    (folder / "docker-compose.yaml").write_text(COMPOSE)

    ran = run_pytest("docker-compose.yaml", folder=folder)

    said = [line for line in ran.out.splitlines() if "unknown key services" in line]
    assert ran.status == 2
    assert said == [f"{folder / 'docker-compose.yaml'}: unknown key services; a suite has family, description, "
                    "defaults, matrix, recipes, checks"]  # fmt: skip
    assert "Traceback" not in ran.said


def test_the_command_to_repeat_an_item_names_the_suite_from_here(folder, run_pytest) -> None:
    ran = run_pytest("--collect-only", "-q", "first/suite.yaml", folder=folder, PYTEST_PLUGINS="lists_commands")

    assert "AGAIN harness run first/suite.yaml --recipe one -k run.completed" in ran.out.splitlines()


@pytest.mark.parametrize(
    "rootdir",
    ["--rootdir=..", "--rootdir=."],
    ids=["below_the_rootdir", "outside_the_rootdir"],
)
def test_the_command_to_repeat_an_item_works_from_another_folder_than_the_suites(rootdir, folder, run_pytest) -> None:
    here = folder / "elsewhere"

    ran = run_pytest(
        rootdir, "--collect-only", "-q", "../first/suite.yaml", folder=here, PYTEST_PLUGINS="lists_commands"
    )

    (command,) = (line for line in ran.out.splitlines() if line.startswith("AGAIN"))
    suite = shlex.split(command)[3]
    assert (here / suite).is_file(), command


def test_items_of_two_suites_outside_the_rootdir_have_different_node_ids(folder, run_pytest) -> None:
    here = folder / "elsewhere"

    ran = run_pytest("--collect-only", "-q", "../first/suite.yaml", "../second/other.yaml", folder=here)

    assert len(nodes(ran)) > 40
    assert len(nodes(ran)) == len(set(nodes(ran)))


def test_two_suites_of_the_same_name_are_told_apart_or_refused(folder, train) -> None:
    (folder / "second" / "suite.yaml").write_text(SUITE.replace("tune: [connector]", "tune: [vision]"))

    ran = train("-v", "-k", "losses_finite", "first/suite.yaml", "second/suite.yaml", folder=folder)

    journal = ran.results / "journal.jsonl"
    refused = ran.status not in (0, 1)
    assert refused or len(journal.read_text().splitlines()) == 2, ran.said
