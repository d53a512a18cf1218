"""Ranges of versions, and which versions were released."""

from __future__ import annotations

import os
import subprocess

import pytest

from harness.refusal import Refused
from harness.stacks import range_of
from harness.stacks.releases import KEPT_S, versions_listed
from tests.stacks.conftest import Shelf

RELEASED = ("4.50.3", "4.51.0", "4.51.3", "4.52.0rc1", "4.52.4", "4.57.0", "4.57.6", "4.58.0", "5.0.0rc1", "5.0.0")


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        ("transformers==4.51..4.57", ("4.51.0", "4.51.3", "4.52.4", "4.57.0", "4.57.6")),
        ("transformers==4.51.3..4.57.0", ("4.51.3", "4.52.4", "4.57.0")),
        ("transformers==4.58..5", ("4.58.0", "5.0.0")),
        ("transformers==4.57..4.57", ("4.57.0", "4.57.6")),
        ("transformers==4.53..4.56", ()),
    ],
)
def test_a_range_holds_both_ends_and_no_candidates(text: str, versions: tuple[str, ...]) -> None:
    assert range_of(text).versions(RELEASED[::-1]) == versions
    assert str(range_of(text)) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("transformers", "is no range of versions; write it like transformers==4.51..4.57"),
        ("transformers==4.51", "is no range of versions"),
        ("transformers==4.51...4.57", "is no range of versions"),
        ("transformers==..4.57", "is no range of versions"),
        ("transformers>=4.51..4.57", "is no range of versions"),
        ("transformers==new..4.57", "is no range of versions: Invalid version: 'new'"),
        ("transformers==4.57..4.51", "ends before it begins"),
        ("", "is no range of versions"),
    ],
)
def test_what_is_no_range_is_refused(text: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        range_of(text)
    assert said in str(refused.value)


def test_what_pip_lists_comes_oldest_first() -> None:
    text = "tiny-lib (2.10)\nAvailable versions: 2.10, 2.9, 1.0\n  INSTALLED: 2.9\n"

    assert versions_listed(text) == ("1.0", "2.9", "2.10")
    assert versions_listed("nothing") == ()


def test_the_index_is_asked_once_a_day(shelf: Shelf) -> None:
    for version in ("1.0", "2.0"):
        shelf.wheel("tiny-lib", version, tiny_lib="")
    assert shelf.layers.releases("tiny-lib") == ("1.0", "2.0")
    shelf.wheel("tiny-lib", "3.0", tiny_lib="")
    assert shelf.layers.releases("tiny-lib") == ("1.0", "2.0")
    (file,) = (shelf.cache / "releases").iterdir()
    os.utime(file, (0, file.stat().st_mtime - KEPT_S - 1))

    assert shelf.layers.releases("tiny-lib") == ("1.0", "2.0", "3.0")


def test_a_library_that_nobody_knows(shelf: Shelf) -> None:
    with pytest.raises(Refused, match="the released versions of absent-lib cannot be had: No matching distribution"):
        shelf.layers.releases("absent-lib")


def test_a_pip_without_the_command(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = shelf.layers
    failed = subprocess.CompletedProcess([], 1, "", "ERROR: unknown command index\n")
    monkeypatch.setattr(layers.processes, "run", lambda command: failed)

    with pytest.raises(Refused, match="cannot be had: unknown command index; look at its name"):
        layers.releases("tiny-lib")
