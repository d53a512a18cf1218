"""Layer 2, making side. Injected faults: deliberate defects, each as small as the promise that it breaks."""

from harness.faults.registry import FAULTS, Fault, fault, seams_with

__all__ = ["FAULTS", "Fault", "fault", "seams_with"]
