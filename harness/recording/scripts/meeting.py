"""Whether processes that step by themselves meet now and then: one small parameter tells, before each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.recording.local_parts import is_apart
from harness.recording.scripts.inputs import of_several
from harness.trace.fingerprint import as_hex, fingerprint

if TYPE_CHECKING:
    from harness.recording.found import FoundModel

ELEMENTS = 1 << 20


def as_it_begins(models: Sequence[FoundModel]) -> dict[str, Any]:
    """What the first of the parameters that train, and of which each process has all, is worth before a step."""
    for index, parameter in enumerate(models[0].parameters if models and of_several() else ()):
        whole = not is_apart(parameter) and not hasattr(parameter, "ds_tensor")
        if parameter.requires_grad and whole and 1 < parameter.numel() <= ELEMENTS:
            return {"begins": {"model": models[0].ident, "index": index, "fingerprint": as_hex(fingerprint(parameter))}}
    return {}
