"""Whatever a configuration says, and whatever a file holds, it is judged: nothing but findings comes of it."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.checkpoint.inspecting import NAMES, inspect
from tests.checkpoint.inspecting.conftest import Whole

VALUES: tuple[Any, ...] = (None, 3, -1, 1.5, "x", True, [], [1], ["a", None], {}, {"a": 1}, [[1]])
SAMPLE = int(os.environ.get("INSPECT_SAMPLE", "25"))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every entry, of long lists to the first."""
    entries = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, inner in list(entries)[:60]:
        yield (*path, key)
        if len(path) < 2:
            yield from places(inner, (*path, key))


@pytest.mark.parametrize("of", ["llava", "minicpm", "llava adapter"])
def test_any_value_anywhere(of: str, whole: Whole, tmp_path: Path) -> None:
    saved, base = whole.saved(of, tmp_path / "saved"), whole.base(of.split(maxsplit=1)[0])
    chance = random.Random(len(of))
    cases = [
        (path, way, value)
        for path in sorted(saved.glob("*.json"))
        for way in [(), *places(json.loads(path.read_text()))]
        for value in VALUES
    ]
    for path, way, value in chance.sample(cases, min(SAMPLE, len(cases))):
        before = path.read_text()
        content = json.loads(before)
        if way:
            inner = content
            for key in way[:-1]:
                inner = inner[key]
            inner[way[-1]] = value
        path.write_text(json.dumps(content if way else value))
        try:
            found = [inspect(saved, base, build=False), inspect(saved, build=False)]
        except Exception as error:
            raise AssertionError((path.name, way, value)) from error
        assert all(name in NAMES for one in found for name, _ in one.findings)
        path.write_text(before)


@pytest.mark.parametrize("of", ["llava", "llava adapter"])
def test_any_byte_anywhere(of: str, whole: Whole, tmp_path: Path) -> None:
    saved, base = whole.saved(of, tmp_path / "saved"), whole.base("llava")
    chance = random.Random(len(of))
    for _ in range(SAMPLE):
        path = chance.choice(sorted(saved.iterdir()))
        before = path.read_bytes()
        data = bytearray(before)
        data[chance.randrange(min(len(data), 4000))] = chance.randrange(256)
        path.write_bytes(data)
        found = inspect(saved, base, build=False)
        assert all(name in NAMES for name, _ in found.findings)
        path.write_bytes(before)
