"""Layer 5. Suites as pytest items: `suite.yaml::recipe::check`, one training run per recipe.

Collecting imports neither torch nor transformers. A suite is collected when it is named on the command line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.pytest_session import PytestSession
    from harness.recipe import Recipe
    from harness.result import Result

SESSION: pytest.StashKey[PytestSession] = pytest.StashKey()
SUFFIXES = (".yaml", ".yml")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("harness", "fine-tuning suites")
    group.addoption("--harness-out", default="harness-out", metavar="DIR", help="where runs, results and reports go")
    group.addoption("--harness-strict", action="store_true", help="warnings fail")
    group.addoption("--harness-report", action="store_true", help="print recipe by recipe, as harness run does")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> SuiteFile | None:
    if file_path.suffix in SUFFIXES and parent.session.isinitpath(file_path):
        file: SuiteFile = SuiteFile.from_parent(parent, path=file_path)
        return file
    return None


class SuiteFile(pytest.File):
    """A suite: one node per recipe."""

    def collect(self) -> Iterator[RecipeNode]:
        from harness.recipe import read_suite
        from harness.refusal import Refused

        try:
            suite = read_suite(self.path)
        except Refused as refused:
            raise self.CollectError(str(refused)) from None
        for name, recipe in suite.recipes.items():
            yield RecipeNode.from_parent(self, name=name, recipe=recipe, suite=suite.name)


class RecipeNode(pytest.Collector):
    """A recipe: one item per check."""

    def __init__(self, *, recipe: Recipe, suite: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.recipe = recipe
        self.recipe_id = f"{suite}/{self.name}"

    def collect(self) -> Iterator[CheckItem]:
        from harness.checks import CHECKS

        for check in CHECKS:
            yield CheckItem.from_parent(self, name=check.name)


class CheckItem(pytest.Item):
    """One check on one recipe."""

    parent: RecipeNode

    def runtest(self) -> None:
        from harness.pytest_session import PROPERTY, REFUSED
        from harness.refusal import Refused

        session = self.config.stash[SESSION]
        try:
            results = session.results(self.parent.recipe_id, self.parent.recipe, _selected(self), self.path)
        except Refused as refused:
            self.user_properties.append((REFUSED, str(refused)))
            raise
        result = results[self.name]
        self.user_properties.append((PROPERTY, json.dumps(result.to_json())))
        outcome = session.outcome(result, results.values())
        if outcome == "failed":
            raise CheckFailed(result)
        if outcome == "skipped":
            pytest.skip(f"{result.status.value}: {result.reason}")
        if outcome == "xfailed":
            pytest.xfail(result.reason)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from harness.refusal import Refused
        from harness.report.terminal import failure_block

        if isinstance(excinfo.value, CheckFailed):
            return failure_block(excinfo.value.result, self.again)
        if isinstance(excinfo.value, Refused):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, f"{self.parent.recipe_id}: {self.name}"

    @property
    def again(self) -> str:
        """The command that repeats this check alone."""
        from harness.pytest_session import again_command

        return again_command(self.nodeid)


class CheckFailed(Exception):
    """A check with findings, or one that is blocked."""

    def __init__(self, result: Result) -> None:
        super().__init__(f"{result.recipe}: {result.check}: {result.reason}")
        self.result = result


def _selected(item: CheckItem) -> list[str]:
    """The checks of the item's recipe that this session was asked for: -k does less work, not only shows less."""
    return [other.name for other in item.session.items if isinstance(other, CheckItem) and other.parent is item.parent]


def pytest_configure(config: pytest.Config) -> None:
    if _suites_in(config):
        from harness.pytest_session import PytestSession

        config.stash[SESSION] = session = PytestSession(config, _suites_in(config))
        config.pluginmanager.register(session, "harness-suites")


def _suites_in(config: pytest.Config) -> list[Path]:
    paths = (Path(argument.split("::")[0]) for argument in getattr(config, "args", ()))
    return [path for path in paths if path.suffix in SUFFIXES]
