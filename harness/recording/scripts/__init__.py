"""Recording a stranger's script: nobody calls the recorder there, and nothing it does may get in the script's way.

torch and the standard library alone, as in all of `recording`.
"""

from harness.recording.scripts.attached import attach
from harness.recording.scripts.options import Options
from harness.recording.scripts.recorder import ScriptRecorder

__all__ = ["Options", "ScriptRecorder", "attach"]
