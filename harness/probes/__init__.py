"""Layer 2, making side. Probes: named extra passes over the trained model, made only if a selected check needs them."""

from harness.probes import adapters, merging
from harness.probes.guard import undisturbed
from harness.probes.passes import PROBES, Probed

__all__ = ["PROBES", "Probed", "adapters", "merging", "undisturbed"]
