import errno
import json
import os
import sys
from pathlib import Path

import pytest

from harness.refusal import Refused
from harness.result import Finding, Reason, Result, Severity, Status
from harness.store import ResultsFile, read_results, write_results, write_text


class ParameterMoved(Finding):
    pass


MOVED = ParameterMoved("unchanged", "1 element\nchanged", "vision.0", "a “typo”", "freeze it", Severity.WARNING)
FAILED = Result("b[bf16]", "frozen", Status.FAILED, findings=(MOVED, Finding("x", "")))
PASSED = Result("a[fp32]", "loads", Status.PASSED)
SKIPPED = Result("b[bf16]", "buffers", Status.NOT_APPLICABLE, Reason.NO_IMAGES)


def test_results_survive_the_round_trip(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    write_results(file, [FAILED, PASSED, SKIPPED])

    results = read_results(file)

    assert [result.to_json() for result in results] == [r.to_json() for r in (PASSED, SKIPPED, FAILED)]
    assert [finding.kind for finding in results[2].findings] == ["ParameterMoved", "Finding"]
    assert results[2].findings[0].severity is Severity.WARNING
    assert read_results(file) == results


def test_the_file_is_sorted_whatever_the_order_of_arrival(tmp_path: Path) -> None:
    write_results(tmp_path / "one", [FAILED, PASSED, SKIPPED])
    write_results(tmp_path / "two", iter([SKIPPED, FAILED, PASSED]))

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    lines = [json.loads(line) for line in (tmp_path / "one").read_text().splitlines()]
    assert [(line["recipe"], line["check"]) for line in lines] == [
        ("a[fp32]", "loads"),
        ("b[bf16]", "buffers"),
        ("b[bf16]", "frozen"),
    ]


def test_no_results_make_an_empty_file(tmp_path: Path) -> None:
    write_results(tmp_path / "results.jsonl", [])

    assert (tmp_path / "results.jsonl").read_bytes() == b""
    assert read_results(tmp_path / "results.jsonl") == []


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    write_results(tmp_path / "new" / "folder" / "results.jsonl", [PASSED])

    assert read_results(tmp_path / "new" / "folder" / "results.jsonl") == [PASSED]


def test_appended_results_can_be_read_while_the_file_is_open(tmp_path: Path) -> None:
    file = ResultsFile(tmp_path / "results.jsonl")
    file.append([FAILED, SKIPPED])
    file.append([PASSED])

    recipes = [result.recipe for result in read_results(tmp_path / "results.jsonl")]
    file.close()

    assert recipes == ["b[bf16]", "b[bf16]", "a[fp32]"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "results.jsonl"
    write_results(file, [PASSED])

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Refused) as refused:
        write_results(file, [FAILED])

    assert str(refused.value) == f"{file}: cannot be written: No space left on device; choose another place"
    assert read_results(file) == [PASSED]
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_appending_to_a_full_disk_is_refused() -> None:
    file = ResultsFile(Path("/dev/full"))
    with pytest.raises(Refused, match=r"^/dev/full: cannot be written: No space left on device"):
        file.append([PASSED])
    file.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
def test_what_did_not_fit_leaves_no_part_behind(tmp_path: Path) -> None:
    import resource

    file = ResultsFile(tmp_path / "results.jsonl")
    file.append([PASSED])
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "results.jsonl").stat().st_size + 100, limit[1]))
    try:
        with pytest.raises(Refused, match="cannot be written: File too large"):
            file.append([PASSED, FAILED])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)

    assert read_results(tmp_path / "results.jsonl") == [PASSED]
    file.append([SKIPPED])
    file.close()
    assert [result.recipe for result in read_results(tmp_path / "results.jsonl")] == ["a[fp32]", "b[bf16]"]


def test_results_that_cannot_be_opened_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be written: No such file"):
        ResultsFile(tmp_path / "nowhere" / "results.jsonl")


@pytest.mark.skipif(not Path(os.devnull).is_char_device(), reason="the system has no device files")
def test_a_device_is_never_replaced_by_a_file() -> None:
    with pytest.raises(Refused, match="is there already and is no file"):
        write_text(Path(os.devnull), "text")

    assert Path(os.devnull).is_char_device()


def test_a_folder_in_the_way_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is there already and is no file"):
        write_results(tmp_path, [PASSED])


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(Refused, match="cannot be written: "):
        write_results(tmp_path / "file" / "results.jsonl", [PASSED])


def test_a_link_is_followed_and_kept(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "elsewhere" / "target"
    link.symlink_to(target)

    write_text(link, "text")

    assert link.is_symlink()
    assert target.read_text() == "text"


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ('{"recipe": "a", "che', "not JSON"),
        ("\x00\xff", "not JSON"),
        ("[" * 100_000, ""),
        ("[1]", "not an object"),
        ('{"check": "c", "status": "passed"}', "recipe is missing"),
        ('{"recipe": "a", "check": 3, "status": "passed"}', "check is not a text"),
        ('{"recipe": "a", "check": "c", "status": "green"}', "'green' is not a valid Status"),
        ('{"recipe": "a", "check": "c", "status": "failed", "findings": 3}', "findings is not a list"),
        ('{"recipe": "a", "check": "c", "status": "failed", "findings": [3]}', "a finding is not an object"),
        (
            '{"recipe": "a", "check": "c", "status": "failed", "findings": [{"kind": "a b"}]}',
            "'a b' is not the name of a kind of finding",
        ),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, wrong: str) -> None:
    file = tmp_path / "results.jsonl"
    write_results(file, [PASSED])
    with file.open("ab") as stream:
        stream.write(b"\n" + line.encode("latin-1"))

    with pytest.raises(Refused) as refused:
        read_results(file)

    assert refused.value.where == f"{file}, line 3"
    assert refused.value.what.startswith(f"no result can be read from this line: {wrong}")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read: No such file or directory; name a file of results"):
        read_results(tmp_path / "results.jsonl")
