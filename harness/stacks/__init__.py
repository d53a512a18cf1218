"""Layer 1. Other versions of libraries, each set of them a folder laid over the installed ones by PYTHONPATH.

torch and all that fits come from below; what differs lies in the layer, which is made once, by pip, and kept.
"""

from harness.stacks.file import AskedStack, read_stacks
from harness.stacks.layers import Layered, Layers
from harness.stacks.processes import Processes
from harness.stacks.releases import Range, range_of

__all__ = ["AskedStack", "Layered", "Layers", "Processes", "Range", "range_of", "read_stacks"]
