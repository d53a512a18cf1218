"""Layer 5. A fixture for people's own tests of their own training."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.live import Watching


@pytest.fixture
def watched_training(tmp_path: Path) -> Callable[..., AbstractContextManager[Watching]]:
    """`with watched_training(model, optimizer) as training: ...`, then `assert training.results().ok`."""

    def watched(*parts: Any, intent: Any = None) -> AbstractContextManager[Watching]:
        from harness.live import watch

        number = len([path for path in tmp_path.glob("training-*") if path.is_dir()])
        return watch(tmp_path / f"training-{number}", *parts, intent=intent)

    return watched
