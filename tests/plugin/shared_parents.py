"""A pytest plugin for sessions under test: they use the warm parents of the tests, and do not start their own.

Everything else about such a session is as always. Where there is no fork there are no parents to share.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from harness import pytest_session
from harness.running.session import Sockets


class SharedParents:
    """In the place of `harness.running.session.WarmParents`."""

    def __init__(self, families: Sequence[str], engines: Sequence[str] = ()) -> None:
        self.sockets = Sockets(os.environ.get("SHARED_MAKERS") or None, os.environ.get("SHARED_RELOADERS") or None)

    def stop(self) -> None:
        """They go on: the next session under test wants them too."""


pytest_session.WarmParents = SharedParents  # type: ignore[attr-defined,assignment,misc]
