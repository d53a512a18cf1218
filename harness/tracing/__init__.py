"""Layer 3. Any training command, run as it is, and what its processes recorded.

`launching` runs the command with the recorder on its way, `collecting` finds the traces that came of it, `told` says it
where a workflow of GitHub's reads it. The recorder itself is `recording.scripts`; it enters through `site/`.
"""

from harness.tracing.collecting import Traced, collected
from harness.tracing.launching import Ended, launch

__all__ = ["Ended", "Traced", "collected", "launch"]
