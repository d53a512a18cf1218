"""2.5's, which is what a directory holds under this name."""

from harness.families.minicpm.code_files.resampler import Resampler

__all__ = ["Resampler"]
