"""What trained in fp32 and is rounded to fp16 on its way to the file: what then lies there, and what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.checks.adapter_ranks import last_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.intent import Intent
    from harness.trace.parameter import Parameter
    from harness.trace.reader import Trace


def in_file(intent: Intent, trace: Trace) -> dict[int, str]:
    """By index, the fingerprint in fp16 of each parameter that is saved halved; nothing where none is."""
    return _prints(intent, trace, lambda _: "float16")


def come_back(intent: Intent, trace: Trace) -> dict[int, str]:
    """The same once they are loaded again: in fp32, or in fp16 where they trained in it."""
    return _prints(intent, trace, lambda parameter: "float16" if parameter.dtype == "float16" else "float32")


def _prints(intent: Intent, trace: Trace, dtype_of: Callable[[Parameter], str]) -> dict[int, str]:
    import numpy as np

    from harness.trace.array_fingerprint import fingerprint

    if not intent.save.half:
        return {}
    values = last_values(trace)
    of_adapter = intent.save.what == "adapter"
    halved = (p for p in trace.parameters if f"last/{p.index}" in values and not intent.is_left_out(p.key))
    halved = (p for p in halved if p.role == "adapter" or not of_adapter)
    return {p.index: fingerprint(values[f"last/{p.index}"].astype(np.float16).astype(dtype_of(p))) for p in halved}
