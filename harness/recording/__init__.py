"""Layer 2, making side. Records what a training run does, seen through torch and the libraries alone.

Imports torch and the standard library, so that it can enter an old environment or a stranger's script. No engine,
family or fault announces an event to it: the harness's own loop and a foreign script give the same stream.
"""

from harness.recording.recorder import Recorder

__all__ = ["Recorder"]
