"""From results to a verdict: outcomes, exit status, known failures."""

import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from harness.refusal import Refused
from harness.result import Result, Status
from harness.verdict import (
    KnownFailure,
    exit_status,
    outcome,
    read_known_failures,
    unused,
    with_known_failures,
)

TODAY = datetime.date(2030, 1, 2)
YESTERDAY, TOMORROW = TODAY - datetime.timedelta(1), TODAY + datetime.timedelta(1)


def result(status: Status, recipe: str = "llava/lora[bf16]", check: str = "loads") -> Result:
    return Result(recipe, check, status, "why")


OUTCOMES = [
    # status, outcome, under strict, exit status, under strict
    (Status.PASSED, "passed", "passed", 0, 0),
    (Status.WARNED, "passed", "failed", 0, 1),
    (Status.FAILED, "failed", "failed", 1, 1),
    (Status.KNOWN_FAILURE, "xfailed", "xfailed", 0, 0),
    (Status.FIXED, "failed", "failed", 1, 1),
    (Status.NOT_APPLICABLE, "skipped", "skipped", 0, 0),
    (Status.BLOCKED, "failed", "failed", 1, 1),
    (Status.NOT_COMPARABLE, "skipped", "skipped", 0, 0),
]


@pytest.mark.parametrize(("status", "lenient", "strict", "_code", "_strict_code"), OUTCOMES, ids=str)
def test_each_status_has_its_outcome(status: Status, lenient: str, strict: str, _code: int, _strict_code: int) -> None:
    one = result(status)

    assert (outcome(one, [one]), outcome(one, [one], strict=True)) == (lenient, strict)


@pytest.mark.parametrize(("status", "_outcome", "_strict", "code", "strict_code"), OUTCOMES, ids=str)
def test_each_status_has_its_exit_status(
    status: Status, _outcome: str, _strict: str, code: int, strict_code: int
) -> None:
    results = [result(Status.PASSED), result(status)]

    assert (exit_status(results), exit_status(results, strict=True)) == (code, strict_code)


def test_every_status_is_in_the_table() -> None:
    assert {row[0] for row in OUTCOMES} == set(Status)
    assert exit_status([]) == 0


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        (Status.FAILED, "skipped"),
        (Status.FIXED, "skipped"),
        (Status.BLOCKED, "failed"),
        (Status.PASSED, "failed"),
        (Status.WARNED, "failed"),
        (Status.KNOWN_FAILURE, "failed"),
        (Status.NOT_APPLICABLE, "failed"),
    ],
    ids=str,
)
def test_a_blocked_check_fails_unless_another_failed(beside: Status, expected: str) -> None:
    blocked = result(Status.BLOCKED)

    assert outcome(blocked, [blocked, result(beside, check="other")]) == expected
    assert exit_status([blocked, result(beside)]) == 1


def known(**settings: Any) -> KnownFailure:
    entry = {"check": "loads", "recipe": "llava/lora*", "reason": "theirs", "link": "https://x", "expires": TOMORROW}
    return KnownFailure.model_validate({**entry, **settings})


@pytest.mark.parametrize(
    ("status", "expires", "marked", "reason"),
    [
        pytest.param(Status.FAILED, TOMORROW, Status.KNOWN_FAILURE, "theirs (https://x)", id="covered"),
        pytest.param(Status.FAILED, TODAY, Status.KNOWN_FAILURE, "theirs (https://x)", id="on its last day"),
        pytest.param(
            Status.FAILED,
            YESTERDAY,
            Status.FAILED,
            "the known failure expired on 2030-01-01: theirs (https://x)",
            id="expired",
        ),
        pytest.param(
            Status.PASSED, TOMORROW, Status.FIXED, "listed as a known failure, and it passed: https://x", id="fixed"
        ),
        pytest.param(
            Status.WARNED,
            TOMORROW,
            Status.FIXED,
            "listed as a known failure, and it passed: https://x",
            id="only warned",
        ),
        pytest.param(Status.BLOCKED, TOMORROW, Status.BLOCKED, "why", id="blocked"),
        pytest.param(Status.NOT_APPLICABLE, TOMORROW, Status.NOT_APPLICABLE, "why", id="not applicable"),
    ],
)
def test_a_known_failure_marks_what_it_covers(
    status: Status, expires: datetime.date, marked: Status, reason: str
) -> None:
    other = result(status, check="other")

    found = with_known_failures([result(status), other], [known(expires=expires)], TODAY)

    assert [(one.status, one.reason) for one in found] == [(marked, reason), (status, "why")]


def test_an_expired_entry_fails_the_run_even_if_its_check_passes() -> None:
    found = with_known_failures([result(Status.PASSED)], [known(expires=YESTERDAY)], TODAY)

    assert exit_status(found) == 1
    assert "expired on 2030-01-01" in found[0].reason


@pytest.mark.parametrize("turned", [1, -1], ids=["expired first", "expired last"])
def test_an_expired_entry_does_not_hide_one_that_holds(turned: int) -> None:
    entries = [known(expires=YESTERDAY), known()][::turned]

    assert with_known_failures([result(Status.FAILED)], entries, TODAY)[0].status is Status.KNOWN_FAILURE


@pytest.mark.parametrize(
    ("versions", "excused"),
    [
        ({"pydantic": ">=2"}, True),
        ({"pydantic": "==0.0.1"}, False),
        ({"pydantic": ">=2", "pytest": "<1"}, False),
        ({"no-such-distribution": ">=0"}, False),
    ],
    ids=str,
)
def test_an_entry_covers_nothing_under_versions_it_does_not_name(versions: dict[str, str], excused: bool) -> None:
    found = with_known_failures([result(Status.FAILED)], [known(versions=versions)], TODAY)

    assert found[0].status is (Status.KNOWN_FAILURE if excused else Status.FAILED)


@pytest.mark.parametrize(
    ("pattern", "recipe", "covered"),
    [
        ("llava/lora[bf16]", "llava/lora[bf16]", True),
        ("llava/lora[bf16]", "llava/lorab", False),
        ("llava/lora[bf16]", "llava/lora[fp16]", False),
        ("*[bf16]", "llava/lora[bf16]", True),
        ("*[bf16]", "llava/lora[pure-bf16]", False),
        ("llava/*", "llava/lora[bf16]", True),
        ("llava/lor?", "llava/lora", True),
        ("LLAVA/*", "llava/lora", False),
        ("lora", "llava/lora", False),
    ],
)
def test_a_pattern_covers_recipes_and_its_brackets_are_brackets(pattern: str, recipe: str, covered: bool) -> None:
    assert known(recipe=pattern).covers(recipe, "loads") is covered
    assert not known(recipe=pattern).covers(recipe, "another check")


def test_an_entry_that_matches_nothing_is_unused() -> None:
    dead, alive = known(check="gone"), known()

    assert unused([dead, alive], iter([("llava/lora[bf16]", "loads")])) == [dead]
    assert unused([alive], []) == [alive]


ENTRY = "- {check: loads, recipe: 'a[bf16]', reason: theirs, link: 'https://x', expires: 2030-01-01}\n"


def test_known_failures_are_read(tmp_path: Path) -> None:
    (tmp_path / "k.yaml").write_text(ENTRY + ENTRY.replace("loads", "trains"))

    first, second = read_known_failures(tmp_path / "k.yaml")

    assert (first.check, first.recipe, first.expires) == ("loads", "a[bf16]", datetime.date(2030, 1, 1))
    assert second.check == "trains"


@pytest.mark.parametrize("text", ["", "[]", "# none\n"], ids=["empty", "empty list", "comment"])
def test_no_known_failures(tmp_path: Path, text: str) -> None:
    (tmp_path / "k.yaml").write_text(text)

    assert read_known_failures(tmp_path / "k.yaml") == read_known_failures(tmp_path / "none.yaml") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("- {", "is not YAML", id="not YAML"),
        pytest.param("check: x", "is not a list of known failures", id="mapping"),
        pytest.param(ENTRY + "- {check: x}", "entry 2: recipe: Field required", id="without recipe"),
        pytest.param(ENTRY.replace("link: 'https://x', ", ""), "entry 1: link: Field required", id="without link"),
        pytest.param(ENTRY.replace("2030-01-01", "soon"), "entry 1: expires", id="no date"),
        pytest.param(ENTRY.replace("reason", "because"), "entry 1: ", id="unknown key"),
        pytest.param("- word", "entry 1: ", id="a word"),
        pytest.param(
            ENTRY.replace("}", ", versions: {torch: new}}"), "'new' is no range of versions of torch", id="no version"
        ),
    ],
)
def test_a_broken_list_of_known_failures_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "k.yaml").write_text(text)

    with pytest.raises(Refused) as refused:
        read_known_failures(tmp_path / "k.yaml")
    assert said in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "k.yaml"))
    assert "\n" not in str(refused.value)


def test_a_list_that_is_none_says_how_to_write_one(tmp_path: Path) -> None:
    (tmp_path / "k.yaml").write_text("check: x")

    with pytest.raises(Refused) as refused:
        read_known_failures(tmp_path / "k.yaml")
    said = f"{tmp_path / 'k.yaml'}: is not a list of known failures; begin each entry with '- check:'"
    assert str(refused.value) == said


@pytest.mark.parametrize(("there", "holds"), [("5.0.0rc1", True), ("4.9", True), ("4.8", False), (None, False)])
def test_a_release_candidate_is_a_version_like_any_other(
    monkeypatch: pytest.MonkeyPatch, there: str | None, holds: bool
) -> None:
    def version(name: str) -> str:
        if there is None:
            raise metadata.PackageNotFoundError(name)
        return there

    monkeypatch.setattr(metadata, "version", version)

    assert known(versions={"transformers": ">=4.9"}).concerns_these_versions is holds


@pytest.mark.parametrize("kind", ["binary", "folder"])
def test_known_failures_that_cannot_be_read_are_refused(tmp_path: Path, kind: str) -> None:
    if kind == "binary":
        (tmp_path / "k.yaml").write_bytes(b"\xff\xfe\x00")
    else:
        (tmp_path / "k.yaml").mkdir()

    with pytest.raises(Refused, match=r"k\.yaml: .*; name an existing known failures file$"):
        read_known_failures(tmp_path / "k.yaml")
