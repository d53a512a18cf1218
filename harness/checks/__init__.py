"""Layer 2, judging side. Checks: pure functions from intent and evidence to findings. No torch, no model, no run."""

from harness.checks.registry import CHECKS, Check, check

__all__ = ["CHECKS", "Check", "check"]
