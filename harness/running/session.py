"""One session of running suites: worker processes, evidence per recipe made once, results per check."""

from __future__ import annotations

import contextlib
import difflib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness import devices, stack
from harness.checkpoint.files import refuse_missing_part
from harness.checkpoint.json_files import CONFIG, entries
from harness.checkpoint.problems import checkpoint_problems
from harness.checks import CHECKS, Check
from harness.checks.judging import judge, not_here, switched_off
from harness.checks.registry import own_check
from harness.families import check_possible
from harness.launch import Launcher, WarmParent, can_fork
from harness.own_code import named
from harness.recipe import BESIDE_SUITES, Recipe, Suite, read_suite
from harness.recipe.rules import ENGINES, NEEDS_INSTALLED
from harness.recipe.starting import base_and_parts
from harness.recipe.suite_checks import AS_EVERYBODY, Judging
from harness.refusal import Lacking, Refused
from harness.result import Result
from harness.running.disk import disk_errors
from harness.running.planner import plan
from harness.running.runner import JOURNAL, Runner
from harness.running.workers import Workers, worker_modules
from harness.stack import has
from harness.verdict import KNOWN_FAILURES, KnownFailure, read_known_failures, unused

COMPLETION = "run.completed"
OTHER_STACKS = "compat."  # what checks of other stacks begin with: harness compat makes them, and no run
MARKER = ".harness-out"
FOLDERS = ("runs", "bases", "faults", "golden-runs")
FILES = (JOURNAL, "results.jsonl", "run.json", "report.md", "comparison.md", "report.html", "junit.xml")


@dataclass(frozen=True)
class Sockets:
    """Where the warm parents listen; None where jobs run in fresh interpreters."""

    makers: str | None = None
    reloaders: str | None = None


class WarmParents:
    """The two parents of a session: one whose children make runs, one whose children load what was saved."""

    def __init__(self, families: Sequence[str], engines: Iterable[str] = ()) -> None:
        self._parent: WarmParent | None = None
        self.sockets = Sockets()
        if can_fork():
            makers, reloaders = worker_modules(families, engines)
            self._parent = WarmParent("make", makers, beside=reloaders)
            self.sockets = Sockets(self._parent.socket, self._parent.socket_beside)

    def stop(self) -> None:
        if self._parent is not None:
            self._parent.stop()


def needed_of(recipes: Iterable[Recipe]) -> tuple[list[str], set[str]]:
    """The families and engines for which the parents of a session should be warm."""
    recipes = list(recipes)
    return sorted({recipe.family for recipe in recipes}), {recipe.engine for recipe in recipes}


@dataclass
class Session:
    """Carries out and judges recipes, each once, whichever of its checks is asked for first.

    `seconds` is what the runs of a recipe took, without the start of the session's processes.
    """

    sockets: Sockets
    out: Path
    faults: tuple[str, ...] = ()
    bases: Path | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    _made: dict[str, dict[str, Result] | Exception] = field(default_factory=dict)
    _refused: Refused | None = None

    def results(
        self, recipe_id: str, recipe: Recipe, checks: Iterable[str], judging: Judging = AS_EVERYBODY
    ) -> dict[str, Result]:
        """The results of the named checks on a recipe, by check; its runs are made at the first call."""
        if self._refused is not None:
            raise self._refused
        if recipe_id not in self._made:
            try:
                self._made[recipe_id] = self._judged(recipe_id, recipe, CHECKS.named(list(checks)), judging)
            except Refused as refused:  # the disk is full, say: no other recipe would fare better
                self._refused = refused
                raise
            except Exception as error:  # a check that raises: its recipe is not run again for each of the others
                self._made[recipe_id] = error
        made = self._made[recipe_id]
        if isinstance(made, Exception):
            raise made
        return made

    def _judged(self, recipe_id: str, recipe: Recipe, checks: Sequence[Check], judging: Judging) -> dict[str, Result]:
        try:
            planned = plan(recipe_id, recipe, [check for check in checks if check.name not in judging.off])
        except Lacking as lacking:
            self.seconds[recipe_id] = 0.0
            return {check.name: not_here(check.name, recipe_id, lacking.what) for check in checks}
        evidence = self.runner.carry_out(planned)
        main, intent = evidence.traces["main"], planned.runs["main"].intent
        stages = [evidence.traces[name].measured.get("seconds", {}) for name in planned.runs]
        self.seconds[recipe_id] = round(sum(sum(seconds.values()) for seconds in stages), 3)
        results = {}
        for name, check in ((check.name, check) for check in checks):
            results[name] = (
                switched_off(name, recipe_id, judging.off[name])
                if name in judging.off
                else judge(check, recipe_id, intent, main, evidence.traces, judging.severity.get(name))
            )
        return results

    @property
    def runner(self) -> Runner:
        makers = Launcher(self.sockets.makers, {"HF_MODULES_CACHE": str(self.out / "modules" / "make")})
        reloaders = Launcher(self.sockets.reloaders, {"HF_MODULES_CACHE": str(self.out / "modules" / "reload")})
        return Runner(Workers(makers, reloaders), self.out, self.bases, self.faults)


def suite_names(paths: Iterable[Path]) -> dict[Path, str]:
    """A name for each suite: that of its file, and of as many folders above as it takes to tell it from the others."""
    whole = {path: Path(os.path.abspath(path)) for path in paths}  # noqa: PTH100 - a link is a file of its own
    parts = {full: full.with_suffix("").parts[1:] for full in whole.values()}
    for full, one in parts.items():
        if list(parts.values()).count(one) > 1:
            raise Refused("another suite's name differs only in its suffix", where=str(full), do="rename one of them")
    return {path: _shortest_end(parts[full], set(parts.values()) - {parts[full]}) for path, full in whole.items()}


def _shortest_end(parts: tuple[str, ...], others: set[tuple[str, ...]]) -> str:
    lengths = range(1, len(parts))
    length = next((n for n in lengths if all(other[-n:] != parts[-n:] for other in others)), len(parts))
    return "/".join(parts[-length:])


def suite_at(path: Path) -> Suite:
    """Read a suite, whose covering matrix leaves out what its families cannot do. Raises Refused for what is none."""
    return read_suite(path, check_possible)


def check_buildable(suite: Suite) -> None:
    """Refuse what no run could be made of, such as an unknown family or a damaged start, before anything is built."""
    read_known_failures(suite.path.with_name(KNOWN_FAILURES))
    _check_judgeable(suite)
    for name, recipe in suite.recipes.items():
        try:
            check_possible(recipe)
            _check_own_code(recipe)
            _check_logging(recipe)
            _check_marked_fault(suite.marks[name].fault)
        except Lacking:  # what these libraries do not have: its checks do not apply, by name
            continue
        except Refused as refused:
            raise Refused(refused.what, where=f"{suite.path}: {name}", do=refused.do) from None
        _check_start(recipe, f"{suite.path}: {name}: start_from")


def refuse_missing_device(suites: Sequence[Suite]) -> None:
    """Refuse recipes for a GPU where there is none, in one line that counts what is not run."""
    asking = [suite for suite in suites if any(recipe.device != "cpu" for recipe in suite.recipes.values())]
    if not asking or (why := devices.why_no_cuda()) is None:
        return
    recipes = sum(len(suite.recipes) for suite in asking)
    checks = sum(len(suite.recipes) * len(checks_of(suite)) for suite in asking)
    raise Refused(
        f"nothing was run: {why}; {recipes} recipes with {checks} checks were skipped",
        where=", ".join(str(suite.path) for suite in asking),
        do="run them on a machine with a GPU, as docs/gpu.md says, or set device: cpu",
    )


def _check_start(recipe: Recipe, where: str) -> None:
    """Refuse a directory of the user's own that is damaged, and a part that is not there."""
    base, parts = base_and_parts(recipe)
    if isinstance(base, str) and base != "fresh":
        config = entries(Path(base) / CONFIG)
        if not recipe.loaders and not config.get("model_type") and "AutoConfig" not in (config.get("auto_map") or ()):
            what = f"{Path(base).absolute() / CONFIG} has no model_type: no library can tell which class it is of"
            raise Refused(what, where=where, do="look at the path; is it the directory of the whole model?")
        for problem in checkpoint_problems(Path(base)):
            raise Refused(problem, where=where)
    for part in parts:
        if isinstance(part.source, str):
            try:
                refuse_missing_part(part.kind, Path(part.source))
            except Refused as refused:
                raise Refused(f"{refused.where}: {refused.what}", where=where, do=refused.do) from None


def _check_marked_fault(name: str) -> None:
    """Refuse the name of a fault that there is not."""
    if name:
        from harness.faults import FAULTS

        FAULTS[name]


def _check_logging(recipe: Recipe) -> None:
    """Refuse a log by a library that is not there."""
    if recipe.logging not in (None, "csv") and not stack.has(str(recipe.logging)):
        do = "pip install 'finetune-harness[logging]', or set logging: csv"
        raise Refused(f"logging {recipe.logging} is not installed", do=do)


def _check_own_code(recipe: Recipe) -> None:
    """Refuse an engine that is not installed, and one or a loader of the user's own that is none."""
    if recipe.engine in NEEDS_INSTALLED and not has(recipe.engine):
        raise Refused(f"engine {recipe.engine} is not installed", do=NEEDS_INSTALLED[recipe.engine])
    functions = [("engine", recipe.engine), *(("loader", name) for name in recipe.loaders)]
    for kind, name in functions:
        if name not in ENGINES and not callable(named(name, kind)):
            raise Refused(f"{kind} {name!r} cannot be called", do="name a function")


def checks_of(suite: Suite) -> list[Check]:
    """Everybody's checks, then the suite's own. Raises Refused for one of its own that cannot be had."""
    everybodys = list(CHECKS)
    own = dict.fromkeys(own_check(target) for target in suite.checks.own)
    return [*everybodys, *(check for check in own if check not in everybodys)]


def _check_judgeable(suite: Suite) -> None:
    """Refuse a suite's word on a check that there is not, or that no suite may quieten."""
    where = f"{suite.path}: checks"
    try:
        there = [check.name for check in checks_of(suite)]
    except Refused as refused:
        raise Refused(refused.what, where=refused.where or f"{where}: own", do=refused.do) from None
    said = [(f"{where}: off", name) for name in suite.checks.off]
    said += [(f"{where}: severity", name) for name in suite.checks.severity]
    said += [(f"{suite.path}: {recipe}: off", name) for recipe, marks in suite.marks.items() for name in marks.off]
    for place, name in said:
        if name not in there:
            close = difflib.get_close_matches(name, there, n=1)
            do = f"did you mean {close[0]}?" if close else "harness list checks shows them"
            raise Refused(f"unknown check {name!r}", where=place, do=do)
        if name == COMPLETION and (place.endswith("off") or suite.checks.severity.get(name) == "warning"):
            raise Refused(f"{name} cannot be quietened: a crash must never end green", where=place, do="take it out")


def unused_known_failures(folder: Path, beyond: Sequence[str] = ()) -> list[KnownFailure]:
    """The known failures in a folder that match no recipe and check of any suite beside them.

    `beyond` are checks that are no suite's, and that any recipe may have.
    """
    known = [one for one in read_known_failures(folder / KNOWN_FAILURES) if not one.check.startswith(OTHER_STACKS)]
    return unused(known, _judged_in(folder, beyond) if known else [])


def _judged_in(folder: Path, beyond: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Recipe and check of each result that the suites in a folder have."""
    for path in sorted(folder.iterdir()):
        if path.suffix in (".yaml", ".yml") and path.name not in BESIDE_SUITES:
            with contextlib.suppress(Refused):  # a file that is no suite; one that is run and broken is refused there
                suite = suite_at(path)
                checks = [*(check.name for check in checks_of(suite)), *beyond]
                yield from ((f"{path.stem}/{name}", check) for name in suite.recipes for check in checks)


def prepare_out(out: Path) -> Path:
    """Make the output directory ready: ours from before is emptied, anybody else's is refused untouched."""
    return claim_out(out, FOLDERS, FILES)


def claim_out(out: Path, folders: Iterable[str] = (), files: Iterable[str] = ()) -> Path:
    """Make an output directory ours, and take these folders and files of ours out of it."""
    with disk_errors(out):
        if out.exists() and not out.is_dir():
            raise Refused("is a file", where=str(out), do="name a directory with --out")
        if out.is_dir() and any(out.iterdir()) and not (out / MARKER).exists():
            raise Refused(
                "holds files that are not the harness's",
                where=str(out),
                do="name a new or empty directory with --out",
            )
        out.mkdir(parents=True, exist_ok=True)
        for folder in folders:
            shutil.rmtree(out / folder, ignore_errors=True)
        for file in files:
            (out / file).unlink(missing_ok=True)
        (out / MARKER).write_text("written by harness; its contents are replaced at each run\n", encoding="utf-8")
    return out.resolve()
