"""Layer 2, making side. Times the steps of a run and of a bare loop over the same batches, and watches their memory.

Only a run that a budget has asked for is measured: a partner run, of which nothing else is judged.
"""

from harness.measuring.bare import Bare, bare_seconds
from harness.measuring.flops import flops_of_steps
from harness.measuring.kept import kept_for_backward
from harness.measuring.ledger import Ledger
from harness.measuring.pace import Pace
from harness.measuring.phases import Phases

__all__ = ["Bare", "Ledger", "Pace", "Phases", "bare_seconds", "flops_of_steps", "kept_for_backward"]
