"""stacks.yaml: one line per stack; whatever else is refused in one line; no suite to anybody."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from harness.cli.suites import suites_at
from harness.named_suites import named_suites
from harness.recipe import BESIDE_SUITES
from harness.recipe.budget_file import BUDGETS
from harness.refusal import Refused
from harness.running.session import unused_known_failures
from harness.stacks import read_stacks
from harness.stacks.file import STACKS
from harness.verdict import KNOWN_FAILURES
from tests.conftest import ROOT

SHIPPED = ROOT / "suites" / "compat" / STACKS


def test_stacks_come_in_their_order_with_names_as_pip_has_them(tmp_path: Path) -> None:
    one, other = read_stacks_of(
        tmp_path, "stacks: {'5.0': {Transformers: 5.0.0}, old: {huggingface_hub: 0.36.2, peft: 0.13.2}}"
    )

    assert (one.name, dict(one.versions)) == ("5.0", {"transformers": "5.0.0"})
    assert other.requirements == ("huggingface-hub==0.36.2", "peft==0.13.2")


def read_stacks_of(folder: Path, text: str) -> tuple:
    (folder / STACKS).write_text(text)
    return read_stacks(folder / STACKS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("stacks: {4.45: {transformers: 4.45.2}}", "the name 4.45 is a number; quote it", id="number"),
        pytest.param("stacks: {a/b: {transformers: 4.45.2}}", "'a/b' is no name for a stack", id="name"),
        pytest.param("stacks: {old: {transformers: 4.45}}", "transformers: 4.45 is a number; quote the", id="float"),
        pytest.param("stacks: {old: {transformers: '>=4'}}", "'>=4' is no version; name one, like", id="range"),
        pytest.param("stacks: {old: {a b: '1'}}", "'a b' is no name of a distribution", id="distribution"),
        pytest.param("stacks: {old: {torch: 2.4.0}}", "torch is the installed one under every stack", id="torch"),
        pytest.param("stacks: {old: {}}", "stack old names no versions; write a line like", id="no versions"),
        pytest.param("stacks: {}", "holds no stacks; write a line like", id="none"),
        pytest.param("description: x", "holds no stacks; write a line like", id="missing"),
        pytest.param("", "holds no stacks; write a line like", id="empty"),
        pytest.param("[1]", "holds no stacks; write a line like", id="a list"),
        pytest.param("stacks: {old: {peft: 0.13.2}}\nstack: 1", "unknown entry 'stack'", id="unknown"),
        pytest.param("stacks: {a: {peft: 0.13.2}, a: {peft: 0.14.0}}", "'a' is given twice", id="twice"),
        pytest.param("stacks: [", "is not YAML", id="no YAML"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        read_stacks_of(tmp_path, text)

    assert said in str(refused.value)
    assert str(refused.value).startswith(f"{tmp_path / STACKS}: ")
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read: No such file or directory; name an existing stacks file"):
        read_stacks(tmp_path / STACKS)


def test_the_shipped_stacks_span_what_people_use() -> None:
    stacks = read_stacks(SHIPPED)

    assert [stack.versions["transformers"] for stack in stacks] == ["4.45.2", "4.52.4", "4.57.6", "5.0.0", "5.23.0"]
    assert all("peft" in stack.versions for stack in stacks)


def test_a_version_more_is_a_line_more() -> None:
    lines = [line for line in SHIPPED.read_text().splitlines() if line.startswith("  ")]

    assert len(lines) == len(yaml.safe_load(SHIPPED.read_text())["stacks"])


def test_stacks_beside_suites_are_no_suite(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("family: llava-1.5-7b\nrecipes: {a: {tune: [connector]}}\n")
    (tmp_path / STACKS).write_text(SHIPPED.read_text())

    assert [suite.name for suite in suites_at([tmp_path])] == ["one"]
    named = named_suites([(path, str(path)) for path in sorted(tmp_path.iterdir())], tmp_path)
    assert [suite.name for suite in named] == ["one"]


def test_what_lies_beside_suites_has_these_names() -> None:
    assert set(BESIDE_SUITES) == {KNOWN_FAILURES, STACKS, BUDGETS}


def test_a_known_failure_of_other_stacks_is_nothing_to_a_run(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("family: llava-1.5-7b\nrecipes: {a: {tune: [connector]}}\n")
    entry = "- {{check: {}, recipe: 'one/none', reason: r, link: 'https://x/1', expires: 2099-01-01}}\n"
    (tmp_path / KNOWN_FAILURES).write_text(entry.format("compat.keys") + entry.format("losses_finite"))

    assert [one.check for one in unused_known_failures(tmp_path)] == ["losses_finite"]
