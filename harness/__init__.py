"""Compares what a vision-language fine-tune was asked to do with what it did.

`record` a training of one's own, or `watch` one that nothing was promised of; `check` a trace, `compare` two, `run` a
suite; `Intent` says what should be true of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.face import Results, check, compare, record, run
    from harness.intent import Intent
    from harness.live import lightning_callback, trainer_callback, watch

__all__ = ["Intent", "Results", "check", "compare", "lightning_callback", "record", "run", "trainer_callback", "watch"]
_LIVE = ("lightning_callback", "trainer_callback", "watch")


def __getattr__(name: str) -> Any:
    """Imported when first used: the command line and the recorder start without the rest."""
    if name == "Intent":
        from harness.intent import Intent

        return Intent
    if name in _LIVE:
        from harness import live

        return getattr(live, name)
    if name in __all__:
        from harness import face

        return getattr(face, name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
