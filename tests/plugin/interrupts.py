"""A pytest plugin for sessions under test: Ctrl-C at a named moment, to the line.

`INTERRUPT_AT` is `collection`, or the number of results after which it comes.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

AT = os.environ["INTERRUPT_AT"]
_seen: list[str] = []


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems() -> None:
    if AT == "collection":
        raise KeyboardInterrupt


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: Any) -> None:
    if report.when == "call":
        _seen.append(report.nodeid)
        if str(len(_seen)) == AT:
            raise KeyboardInterrupt
