"""What a checkpoint's configuration says is what a run goes on with, and what it saves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.checks.needs import Loaded, Need, VerifiedBase
from harness.checks.registry import check
from harness.result import Finding, Reason

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace

OF_THE_LIBRARY = ("transformers_version", "_name_or_path", "dtype", "torch_dtype")
OF_TOWERS = (
    "mm_vision_tower",
    "mm_vision_tower_aux",
    "unfreeze_mm_vision_tower",
    "optimize_vision_tower",
    "optimize_vision_tower_aux",
)
"""What a trainer writes of the towers that it was told of: whether it holds is a check of its own."""
CODE = "auto_map."
ABSENT = "no such entry"


class SettingChanged(Finding):
    """A setting of the configuration that is another in the save than where training started, and was not asked for."""


@dataclass(frozen=True)
class _Configuration(Need):
    """The save has a configuration of its own, and both were read."""

    def refusal(self, intent: Intent) -> Reason | None:
        saved = intent.save.what in ("full", "projector") or intent.save.beside_adapter == "non_lora_trainables.bin"
        return None if saved else Reason.NO_CONFIGURATION_SAVED

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        both = "settings" in (trace.base_reloaded or {}) and "settings" in (trace.reloaded or {})
        return None if both else "the configurations before and after were not both read"


@check(
    "the saved configuration says what the one says that training started from",
    source="MGM #45: continued without image_size_aux, the select layer and mm_use_im_patch_token, defaults applied",
    needs=[VerifiedBase, Loaded, _Configuration()],
)
def settings_kept(intent: Intent, trace: Trace) -> Iterator[Finding]:
    before: dict[str, Any] = (trace.base_reloaded or {})["settings"]
    after: dict[str, Any] = (trace.reloaded or {})["settings"]
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name, ABSENT), after.get(name, ABSENT)
        if was != now and not _may_change(intent, name):
            yield SettingChanged(
                expected=f"{name}: {was!r}, as where training started",
                seen=repr(now),
                where="config.json",
                cause="the trainer wrote its own default over what the checkpoint says",
                do="give the trainer the checkpoint's own value: a default that differs is not said anywhere",
            )


def _may_change(intent: Intent, name: str) -> bool:
    last = name.rpartition(".")[2]
    if last in OF_THE_LIBRARY or name in OF_TOWERS or name.startswith(CODE):
        return True
    return bool(intent.resized) and last == "vocab_size"
