"""Layer 1. The samples a run trains on: read from a file, every image opened, chosen by kind."""

from __future__ import annotations

from pathlib import Path

from harness.data.flaws import decoded_images
from harness.data.formats import read_samples
from harness.data.mix import digest, select
from harness.data.sample import Sample, Turn

SHIPPED: Path = Path(__file__).parent / "samples" / "conversations.json"

__all__ = ["SHIPPED", "Sample", "Turn", "decoded_images", "digest", "read_samples", "select"]
