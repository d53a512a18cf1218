"""Layer 1, making side. A family knows how to build one kind of model, full and tiny, and what it promises."""

from harness.families.family import Family, Loaded, family, family_of, names
from harness.families.possible import check_possible

__all__ = ["Family", "Loaded", "check_possible", "family", "family_of", "names"]
