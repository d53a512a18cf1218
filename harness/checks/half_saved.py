"""What trained in fp32 and is rounded to fp16 on its way to the file: what then lies there, and what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.checks.adapter_ranks import last_values

if TYPE_CHECKING:
    import numpy.typing as npt

    from harness.intent import Intent
    from harness.trace.reader import Trace


def in_file(intent: Intent, trace: Trace) -> dict[int, str]:
    """By index, the fingerprint in fp16 of each parameter that is saved halved; nothing where none is."""
    import numpy as np

    return _prints(intent, trace, np.dtype("float16"))


def come_back(intent: Intent, trace: Trace) -> dict[int, str]:
    """The same once they are loaded in fp32 again."""
    import numpy as np

    return _prints(intent, trace, np.dtype("float32"))


def _prints(intent: Intent, trace: Trace, dtype: npt.DTypeLike) -> dict[int, str]:
    import numpy as np

    from harness.trace.array_fingerprint import fingerprint

    if not intent.save.half:
        return {}
    values = last_values(trace)
    of_adapter = intent.save.what == "adapter"
    halved = (p for p in trace.parameters if f"last/{p.index}" in values and not intent.is_left_out(p.key))
    halved = (p for p in halved if p.role == "adapter" or not of_adapter)
    return {p.index: fingerprint(values[f"last/{p.index}"].astype(np.float16).astype(dtype)) for p in halved}
