"""Layer 4. Results on disk: a JSON object per line, appended as they arrive, rewritten sorted at the end."""

from __future__ import annotations

import contextlib
import json
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.refusal import Refused
from harness.result import Finding, Result, Severity, Status

if TYPE_CHECKING:
    from collections.abc import Iterable


def write_results(path: Path, results: Iterable[Result]) -> None:
    """Write all results, sorted by recipe and check. A reader sees the old file or the new one, whole."""
    write_text(path, _lines(results))


class ResultsFile:
    """A new file that results are appended to, recipe by recipe: a crash loses none, and a full disk halves none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise _unwritable(str(path), error) from error

    def append(self, results: Iterable[Result]) -> None:
        """Append results, all or none of them."""
        before = self._file.tell()
        rest = _lines(results).encode()
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(before)
                self._file.seek(before)
            raise _unwritable(str(self.path), error) from error

    def close(self) -> None:
        self._file.close()


def read_results(path: Path) -> list[Result]:
    """Read a file of results. Findings come back as `Finding` subclasses named after their kind."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Refused(f"cannot be read: {_why(error)}", where=str(path), do="name a file of results") from error
    numbered = enumerate(content.split(b"\n"), start=1)
    return [_result_on(path, number, line) for number, line in numbered if line.strip()]


def write_text(path: Path, text: str) -> None:
    """Write a whole file or, when that fails, leave the one that is there as it was."""
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            raise Refused("is there already and is no file", where=str(path), do="choose another place")
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, text)
    except OSError as error:
        raise _unwritable(str(path), error) from error


def sweep(path: Path) -> None:
    """Take away what processes that were killed had begun to write in the place of a file."""
    for draft in path.parent.glob(f".{path.name}.*.tmp"):
        if not _is_alive(draft.name.split(".")[-2]):
            with contextlib.suppress(OSError):
                draft.unlink()


def _is_alive(pid: str) -> bool:
    """Whether a process is still there, or nobody can say."""
    if os.name != "posix" or not pid.isdecimal():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True


def _replace(target: Path, text: str) -> None:
    # Not made by tempfile: its files are private to their owner, and the renamed file would stay so.
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _unwritable(where: str, error: OSError) -> Refused:
    return Refused(f"cannot be written: {_why(error)}", where=where, do="choose another place")


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _lines(results: Iterable[Result]) -> str:
    in_order = sorted(results, key=lambda result: (result.recipe, result.check))
    return "".join(json.dumps(result.to_json()) + "\n" for result in in_order)


def _result_on(path: Path, number: int, line: bytes) -> Result:
    try:
        return result_from(json.loads(line))
    except (ValueError, RecursionError) as error:
        wrong = "not JSON" if isinstance(error, json.JSONDecodeError | UnicodeDecodeError) else str(error)
        raise Refused(
            f"no result can be read from this line: {wrong}",
            where=f"{path}, line {number}",
            do="remove the line or run again",
        ) from error


def result_from(record: Any) -> Result:
    _require(isinstance(record, dict), "not an object")
    findings = record.get("findings", [])
    _require(isinstance(findings, list), "findings is not a list")
    return Result(
        recipe=_text(record, "recipe"),
        check=_text(record, "check"),
        status=Status(_text(record, "status")),
        reason=_text(record, "reason", ""),
        findings=tuple(_finding(finding) for finding in findings),
    )


def _finding(record: Any) -> Finding:
    _require(isinstance(record, dict), "a finding is not an object")
    kind = _kind(_text(record, "kind"))
    texts = {name: _text(record, name, "") for name in ("expected", "seen", "where", "cause", "do")}
    return kind(**texts, severity=Severity(_text(record, "severity")))


@cache
def _kind(name: str) -> type[Finding]:
    _require(name.isidentifier(), f"{name!r} is not the name of a kind of finding")
    return Finding if name == Finding.__name__ else type(name, (Finding,), {})


def _text(record: dict[str, Any], name: str, default: str | None = None) -> str:
    value = record.get(name, default)
    if not isinstance(value, str):
        raise ValueError(f"{name} is not a text" if name in record else f"{name} is missing")
    return value


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
