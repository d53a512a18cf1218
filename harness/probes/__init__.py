"""Layer 2, making side. Probes: named extra passes over the trained model, made only if a selected check needs them."""

from harness.probes import adapters, alignment, batch_invariance, determinism, merging
from harness.probes.determinism import frozen_in_train_mode
from harness.probes.passes import PROBES, Feeding, Probed
from harness.recording.undisturbed import undisturbed

__all__ = [
    "PROBES",
    "Feeding",
    "Probed",
    "adapters",
    "alignment",
    "batch_invariance",
    "determinism",
    "frozen_in_train_mode",
    "merging",
    "undisturbed",
]
