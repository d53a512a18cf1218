"""Layer 1, making side. What this machine can do: its kind, and how fast it multiplies matrices and copies memory."""

from harness.machine.kind import device_kind
from harness.machine.rates import Rate, copy_rate, matmul_bursts, matmul_rate

__all__ = ["Rate", "copy_rate", "device_kind", "matmul_bursts", "matmul_rate"]
