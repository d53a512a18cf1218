"""Nothing that a script does, and nothing that goes wrong in the recorder, gets in the script's way."""

from __future__ import annotations

import pytest

from harness.recording.scripts.guard import Guard
from tests.tracing.conftest import HERE, Ran, run_many

WAYS: dict[str, dict[str, int]] = {
    "meta": {},
    "lazy": {},
    "sharded": {},
    "sharded by columns": {},
    "unpicklable": {},
    "copied": {},
    "fork": {},
    "forked worker": {},
    "closed stdout": {},
    "sparse": {},
    "complex": {},
    "raises in forward": {},
    "catches all": {"steps": 2},
    "cleans up": {"steps": 2},
    "in a thread": {"steps": 2},
    "exits": {},
    "raises": {},
    "in a stage of its own": {},
    "every second": {"every": 2},
    "after three": {"attach_after": 3},
}
ENDS = {"exits": 5, "raises": 1}
SAME = [way for way, options in WAYS.items() if "steps" not in options]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], Ran]:
    place = tmp_path_factory.mktemp("ways")
    keys = [(way, traced) for way in WAYS for traced in (True, False) if traced or way in SAME]
    jobs = [
        {
            "script": str(HERE / "ways" / "awkward.py"),
            "directory": str(place / f"{way}-{traced}"),
            "traced": traced,
            "arguments": [way],
            "options": WAYS[way],
        }
        for way, traced in keys
    ]
    return dict(zip(keys, run_many(jobs), strict=True))


@pytest.mark.parametrize("way", SAME)
def test_a_script_ends_and_prints_as_without(ran: dict[tuple[str, bool], Ran], way: str) -> None:
    traced, plain = ran[way, True], ran[way, False]

    assert traced.status == plain.status == ENDS.get(way, 0), traced.printed
    assert _without_lines(traced.printed) == _without_lines(plain.printed)


@pytest.mark.parametrize(
    "way", [way for way in SAME if way not in ("meta", "lazy", "sharded by columns", "raises", "exits")]
)
def test_what_can_be_followed_is_judged(ran: dict[tuple[str, bool], Ran], way: str) -> None:
    results = ran[way, True].results()

    assert not [one for one in results.values() if one.status.value not in ("passed", "not_applicable")]


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("meta", "2 parameters are on the meta device, such as unused.weight"),
        ("lazy", "parameters are not initialised yet, such as unused.weight"),
        ("sharded by columns", "body.weight is a distributed tensor"),
    ],
)
def test_what_cannot_be_followed_is_said_and_blocked(ran: dict[tuple[str, bool], Ran], way: str, said: str) -> None:
    results = ran[way, True].results()

    assert results["run.completed"].status.value == "passed"
    assert results["frozen_stays"].status.value == "blocked"
    assert said in results["frozen_stays"].reason


def test_a_fork_that_trains_has_a_trace_of_its_own(ran: dict[tuple[str, bool], Ran]) -> None:
    first, second = ran["fork", True].traces

    assert (len(first.steps), len(second.steps)) == (2, 5)
    assert first.closed
    assert not second.closed  # it left by os._exit, and what it did before is there
    import harness

    (finding,) = next(one.findings for one in harness.check(second.directory) if one.check == "run.completed")
    assert (finding.kind, finding.severity.value) == ("LeftSilently", "warning")


def test_a_script_is_ended_after_its_steps_as_it_would_end_itself(ran: dict[tuple[str, bool], Ran]) -> None:
    ended = ran["cleans up", True]

    assert ended.status == 0
    assert ended.printed.splitlines()[-1] == "cleaned up"
    assert len(ended.trace.steps) == 2
    assert ended.trace.closed
    assert ended.results()["run.completed"].status.value == "passed"


def test_a_thread_is_ended_after_its_steps_without_a_word(ran: dict[tuple[str, bool], Ran]) -> None:
    ended = ran["in a thread", True]

    assert ended.status == 0
    assert len(ended.printed.splitlines()) == 2
    assert ended.printed.splitlines()[-1] == "joined"
    assert len(ended.trace.steps) == 2


def test_a_script_that_catches_everything_is_ended_all_the_same(ran: dict[tuple[str, bool], Ran]) -> None:
    ended = ran["catches all", True]

    assert ended.status == 0
    assert len(ended.trace.steps) == 2
    assert ended.printed.count("caught") < 5


def test_an_exception_of_the_script_is_told(ran: dict[tuple[str, bool], Ran]) -> None:
    (finding,) = ran["raises", True].results()["run.completed"].findings

    assert finding.seen == "RuntimeError: of my own"


def test_values_are_looked_at_as_often_as_asked(ran: dict[tuple[str, bool], Ran]) -> None:
    steps = ran["every second", True].trace.steps

    assert [bool(step["values"]) for step in steps] == [True, False] * 3


def test_recording_begins_where_asked(ran: dict[tuple[str, bool], Ran]) -> None:
    assert len(ran["after three", True].trace.steps) == 3


def test_two_trainings_in_one_process_are_told_apart(ran: dict[tuple[str, bool], Ran]) -> None:
    trace = ran["in a stage of its own", True].trace

    assert [record["model"] for record in trace.of("model")] == ["model0", "model1"]
    assert {step["optimizer"] for step in trace.steps} == {"optimizer0", "optimizer1"}


class TestGuard:
    @pytest.fixture
    def lost(self) -> list[tuple[str, str]]:
        return []

    @pytest.fixture
    def guard(self, lost: list[tuple[str, str]]) -> Guard:
        return Guard(lambda area, error: lost.append((area, str(error))))

    def test_an_operation_is_made_once_when_its_wrapper_fails_before(self, guard: Guard, lost: list[object]) -> None:
        def wrapper(original: object, number: int) -> int:
            raise KeyError("before")

        assert guard.around(wrapper, "step")(lambda number: number + 1, 1) == 2
        assert lost == [("steps", "'before'")]

    def test_an_operation_is_made_once_when_its_wrapper_fails_after(self, guard: Guard, lost: list[object]) -> None:
        made = []

        def wrapper(original: object, number: int) -> int:
            original(number)  # type: ignore[operator]
            raise KeyError("after")

        assert guard.around(wrapper, "save")(lambda number: made.append(number) or 7, 1) == 7
        assert made == [1]
        assert lost == [("saves", "'after'")]

    def test_an_exception_of_the_operation_comes_out(self, guard: Guard, lost: list[object]) -> None:
        def wrapper(original: object) -> None:
            original()  # type: ignore[operator]

        with pytest.raises(ZeroDivisionError):
            guard.around(wrapper, "step")(lambda: 1 / 0)
        assert not lost

    def test_an_exception_of_the_operation_comes_out_though_the_wrapper_fails_over_it(
        self, guard: Guard, lost: list[object]
    ) -> None:
        def wrapper(original: object) -> None:
            try:
                original()  # type: ignore[operator]
            finally:
                raise KeyError("over it")

        with pytest.raises(ZeroDivisionError):
            guard.around(wrapper, "step")(lambda: 1 / 0)
        assert lost


def _without_lines(printed: str) -> str:
    """What was printed, but for the lines of this file and torch's in a traceback."""
    return "\n".join(line for line in printed.splitlines() if not line.startswith(("Traceback", "  ")))
