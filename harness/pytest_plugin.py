"""Layer 5. Suites as pytest items: `suite.yaml::recipe::check`, one training run per recipe.

Collecting imports neither torch nor transformers. A suite is collected when it is named on the command line.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.pytest_fixtures import watched_training  # noqa: F401 (a plugin's fixtures are those it has by name)

if TYPE_CHECKING:
    from harness.named_suites import NamedSuite
    from harness.pytest_session import PytestSession
    from harness.recipe import Recipe, Suite
    from harness.recipe.suite_checks import Judging
    from harness.result import Result
    from harness.verdict import KnownFailure

SESSION: pytest.StashKey[PytestSession] = pytest.StashKey()
SUFFIXES = (".yaml", ".yml")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("harness", "fine-tuning suites")
    group.addoption("--harness-out", default="harness-out", metavar="DIR", help="where runs, results and reports go")
    group.addoption("--harness-strict", action="store_true", help="warnings fail")
    group.addoption("--harness-report", action="store_true", help="print recipe by recipe, as harness run does")


def pytest_configure(config: pytest.Config) -> None:
    """Take the suites out of pytest's arguments: it would split them, and their folders, at the first bracket."""
    arguments = {argument: _suite_of(config, argument) for argument in getattr(config, "args", ())}
    if any(arguments.values()):
        from harness.named_suites import named_suites
        from harness.pytest_session import PytestSession
        from harness.refusal import Refused

        config.args[:] = [argument for argument, path in arguments.items() if path is None]
        try:
            suites = named_suites([(path, arg) for arg, path in arguments.items() if path], config.rootpath)
        except Refused as refused:
            raise pytest.UsageError(str(refused)) from None
        config.stash[SESSION] = session = PytestSession(config, suites)
        config.pluginmanager.register(session, "harness-suites")


def _suite_of(config: pytest.Config, argument: str) -> Path | None:
    """The suite that an argument names, whole or in part."""
    path = config.invocation_params.dir / argument.split("::", maxsplit=1)[0]
    return path if path.suffix in SUFFIXES and path.is_file() else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Collect the suites, before -k and the like choose among the items."""
    if SESSION in config.stash:
        for suite in config.stash[SESSION].suites:
            file: SuiteFile = SuiteFile.from_parent(
                session, path=suite.path, name=suite.path.name, nodeid=suite.node, suite=suite
            )
            items.extend(session.genitems(file))


class SuiteFile(pytest.File):
    """A suite: one node per recipe."""

    def __init__(self, *, suite: NamedSuite, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.suite = suite

    def collect(self) -> Iterator[RecipeNode]:
        from harness.refusal import Refused
        from harness.running.session import check_buildable, checks_of, refuse_missing_device, suite_at

        try:
            read = suite_at(self.path)
            check_buildable(read)
            refuse_missing_device([read])
            checks = [check.name for check in checks_of(read)]
            known = self.suite.known_failures()
        except Refused as refused:
            raise self.CollectError(str(refused)) from None
        if self.suite.wanted:
            self._refuse_unknown(read, checks)
        for name, recipe in read.recipes.items():
            if self.suite.wants(name):
                chosen = [check for check in checks if self.suite.wants(name, check)]
                asked = Asked(recipe, self.suite, tuple(chosen), read.judging(name), tuple(known))
                yield RecipeNode.from_parent(self, name=name, asked=asked)

    def _refuse_unknown(self, read: Suite, checks: Sequence[str]) -> None:
        there = {f"{recipe}{check}" for recipe in read.recipes for check in ("", *(f"::{name}" for name in checks))}
        for wanted in self.suite.wanted:
            if wanted not in there:
                close = difflib.get_close_matches(wanted, there, n=1)
                do = f"did you mean {close[0]}?" if close else f"there are {', '.join([*read.recipes][:8])}"
                raise self.CollectError(f"{self.path}: no recipe or check {wanted!r}; {do}")


@dataclass(frozen=True)
class Asked:
    """What is to be made of a recipe: its run, which checks, how they are judged."""

    recipe: Recipe
    suite: NamedSuite
    checks: tuple[str, ...]
    judging: Judging
    known: tuple[KnownFailure, ...]


class RecipeNode(pytest.Collector):
    """A recipe: one item per check."""

    def __init__(self, *, asked: Asked, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.asked = asked
        self.recipe_id = f"{asked.suite.name}/{self.name}"

    def collect(self) -> Iterator[CheckItem]:
        for check in self.asked.checks:
            yield CheckItem.from_parent(self, name=check)


class CheckItem(pytest.Item):
    """One check on one recipe."""

    parent: RecipeNode

    def runtest(self) -> None:
        from harness.pytest_session import PROPERTY, REFUSED, SECONDS
        from harness.refusal import Refused

        session, node = self.config.stash[SESSION], self.parent
        try:
            results = session.results(node.recipe_id, node.asked, _selected(self))
        except Refused as refused:
            self.user_properties.append((REFUSED, str(refused)))
            self.session.shouldstop = str(refused)
            raise
        result = results[self.name]
        self.user_properties += [(PROPERTY, json.dumps(result.to_json())), (SECONDS, session.seconds(node.recipe_id))]
        outcome = session.outcome(result, results.values())
        if outcome == "failed":
            raise CheckFailed(result)
        if outcome == "skipped":
            pytest.skip(f"{result.status.value}: {result.reason}")
        if outcome == "xfailed":
            pytest.xfail(result.reason)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from harness.refusal import Refused
        from harness.report import failure_block

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
        from harness.report import again_command

        return again_command(self.parent.asked.suite.seen, self.parent.name, self.name)


class CheckFailed(Exception):
    """A check with findings, or one that is blocked."""

    def __init__(self, result: Result) -> None:
        super().__init__(f"{result.recipe}: {result.check}: {result.reason}")
        self.result = result


def _selected(item: CheckItem) -> list[str]:
    """The checks of the item's recipe that this session was asked for: -k does less work, not only shows less."""
    return [other.name for other in item.session.items if isinstance(other, CheckItem) and other.parent is item.parent]
