"""Layer 5. The public face: record a training of one's own, judge a trace, run a suite. Objects in, results out."""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.intent import Intent
from harness.refusal import Refused
from harness.result import Result

if TYPE_CHECKING:
    from harness.comparator import Comparison, Tolerances
    from harness.intents import IntentFile, Promise
    from harness.recording import Recorder
    from harness.trace.reader import Trace


class Results(list[Result]):
    """Results of checks. `assert results.ok, str(results)` shows each failure with what was expected and was seen.

    The `str`, for pytest cuts other messages short.
    """

    @property
    def ok(self) -> bool:
        """Whether nothing failed and nothing was blocked."""
        from harness.verdict import exit_status

        return bool(self) and exit_status(self) == 0

    def __repr__(self) -> str:
        from harness.report import Summary, closing_lines

        return f"<Results: {closing_lines(Summary.of(self)).splitlines()[0]}>"

    def __str__(self) -> str:
        from harness.report import Summary, closing_lines, failure_block

        shown = [result for result in self if result.status.value in ("failed", "fixed", "blocked", "warned")]
        return "\n\n".join([*map(failure_block, shown), closing_lines(Summary.of(self))])


@contextlib.contextmanager
def record(
    directory: Path | str,
    intent: Intent | IntentFile | dict[str, Any] | None = None,
    models: Sequence[Any] = (),
    probe: dict[str, Any] | None = None,
) -> Iterator[Recorder]:
    """Record the training inside the block into a trace directory.

    Models built inside are found by themselves; one built before is named in `models`. With `probe`, a batch as
    keyword arguments of the model, `pixel_values` among them, the trained model is also looked at with other pixels.
    An exception is recorded and raised on. The training's numbers are the same with and without.
    """
    from harness import stack
    from harness.intents import in_header, intent_from
    from harness.recording import Recorder
    from harness.trace.atomic import write_atomically
    from harness.trace.schema import FORMAT_VERSION

    directory = Path(directory)
    promised = intent_from(intent or Intent(), f"{directory}: intent")
    if isinstance(promised, Intent):
        promised = promised.model_copy(update={"probed": probe is not None})
    with Recorder(directory) as recorder:
        header = {
            "format": FORMAT_VERSION,
            "recipe_id": directory.name,
            **in_header(promised),
            "environment": stack.environment(),
        }
        write_atomically(directory / "header.json", json.dumps(header, indent=1, sort_keys=True) + "\n")
        recorder.live.add_tree(models)
        recorder.enter_stage("train")
        try:
            yield recorder
        except BaseException as error:
            recorder.failed(error)
            raise
        recorder.finish()
        if probe is not None and recorder.models:  # without one, the checks say that nothing was trained
            _probe(recorder, promised, probe)


def _probe(recorder: Recorder, intent: Promise, batch: dict[str, Any]) -> None:
    """The probes that one batch is enough for."""
    from harness.intents import naming_said
    from harness.probes import PROBES, Probed, frozen_in_train_mode, undisturbed

    model, naming = recorder.models[0].root, naming_said(intent)
    frozen = frozen_in_train_mode(model, lambda path: naming.component(naming.canonical(path)))
    probed = Probed(model, {"image": batch}, frozen=frozen)
    for name in ("other_pixels", "evaluated_twice", "frozen_in_training"):
        with recorder.paused(), undisturbed(model):
            facts, _ = PROBES[name](probed)
        recorder.stream.emit("probe", name=name, **facts)


def check(
    trace: Path | str,
    intent: Intent | IntentFile | dict[str, Any] | None = None,
    partners: Mapping[str, Path | str] | None = None,
) -> Results:
    """Judge a recorded trace with every check, against its own intent or another one; that of a script for which nobody
    said any, with those checks that hold of any training.

    Partner runs are those in `partners`, traces by the name that a check gives them, and those that lie beside it; a
    check that calls for one which is not there is left out.
    """
    from harness.checks import CHECKS
    from harness.checks.judging import judge
    from harness.checks.universal import judge_costs
    from harness.intents.judged_by import IN_HEADER, judged_by
    from harness.trace.reader import read_trace

    recorded = read_trace(Path(trace))
    if (
        intent is None
        and recorded.of_script
        and not recorded.header.get("intent")
        and not recorded.header.get(IN_HEADER)
    ):
        return _as_any_training(recorded)
    promised = judged_by(recorded, intent)
    name = str(recorded.header.get("recipe_id", Path(trace).name))
    there = _partners_beside(Path(trace), name, [partner.name for one in CHECKS for partner in one.partners])
    there |= {name: read_trace(Path(place)) for name, place in (partners or {}).items()}
    for given in partners or {}:
        _refuse_idle(given, promised, there)
    judged = [
        one
        for one in CHECKS
        if any(need.refusal(promised) for need in one.needs) or there.keys() >= {p.name for p in one.partners}
    ]
    results = Results(judge(one, name, promised, recorded, there) for one in judged)
    if recorded.of_script:
        return Results([*results, *_as_any_training(recorded, results, promised)])
    return Results([*results, *judge_costs(name, recorded, promised)])


def _as_any_training(recorded: Trace, besides: Sequence[Result] = (), intent: Intent | None = None) -> Results:
    """What can be said of a script's training without an intent, and is not said against one already."""
    from harness.checks.universal import judge_script

    name = str(recorded.header.get("recipe_id", recorded.directory.name))
    return Results(judge_script(name, recorded, besides, intent))


def _refuse_idle(partner: str, intent: Intent, there: Collection[str]) -> None:
    """Refuse a partner run that was given and that no check will look at."""
    from harness.checks import CHECKS

    takers = {one.name: [p.name for p in one.partners] for one in CHECKS}
    takers = {name: named for name, named in takers.items() if partner in named}
    if not takers:
        known = ", ".join(dict.fromkeys(p.name for one in CHECKS for p in one.partners))
        raise Refused(f"no check takes a partner run {partner!r}", do=f"there are {known}")
    about = f"partner run {partner}: {next(iter(takers))}"
    reasons = [[reason for need in CHECKS[name].needs if (reason := need.refusal(intent))] for name in takers]
    if all(reasons):
        raise Refused(f"{about} does not apply: {reasons[0][0].value}", do="say in the intent what it is about")
    lacking = [[name for name in named if name not in there] for named in takers.values()]
    if all(lacking):
        raise Refused(f"{about} takes {', '.join(lacking[0])} too", do="give each")


def compare(
    one: Path | str, other: Path | str, tolerances: Tolerances | None = None, may_differ: Sequence[str] = ()
) -> Comparison:
    """Where two recorded runs part ways. See harness.comparator.compare."""
    from harness.comparator import compare as compared
    from harness.trace.reader import read_trace

    return compared(read_trace(Path(one)), read_trace(Path(other)), tolerances, may_differ=may_differ)


def _partners_beside(trace: Path, recipe_id: str, names: Sequence[str]) -> dict[str, Trace]:
    """The traces of a run's partners, as one session leaves them beside each other."""
    from harness.running.workers import folder_name
    from harness.trace.reader import read_trace

    runs = trace.resolve().parent.parent
    places = {name: runs / folder_name(f"{recipe_id}@{name}") / trace.resolve().name for name in names}
    return {name: read_trace(place) for name, place in places.items() if (place / "header.json").exists()}


def run(suite: Path | str, out: Path | str = "harness-out", recipes: Sequence[str] = ()) -> Results:
    """Fine-tune and judge the recipes of a suite (all, or the named ones), here and now.

    Known failures that lie beside the suite are marked. What cannot work is refused before anything is touched.
    """
    from harness.checks import CHECKS
    from harness.running.session import Session, WarmParents, check_buildable, needed_of, prepare_out, suite_at
    from harness.verdict import KNOWN_FAILURES, read_known_failures, with_known_failures

    read = suite_at(Path(suite))
    if unknown := [name for name in recipes if name not in read.recipes]:
        there = ", ".join(list(read.recipes)[:8])
        raise Refused(f"no recipe {unknown[0]!r}", where=str(suite), do=f"there are {there}")
    check_buildable(read)
    known = read_known_failures(read.path.with_name(KNOWN_FAILURES))
    chosen = {name: recipe for name, recipe in read.recipes.items() if not recipes or name in recipes}
    parents = WarmParents(*needed_of(chosen.values()))
    try:
        session = Session(parents.sockets, prepare_out(Path(out)))
        names = [one.name for one in CHECKS]
        made = [session.results(f"{read.name}/{name}", recipe, names) for name, recipe in chosen.items()]
        judged = [result for results in made for result in results.values()]
        return Results(with_known_failures(judged, known, datetime.date.today()))
    finally:
        parents.stop()
