"""Layer 0. A recipe is one fine-tuning configuration; a suite is a file of them."""

from harness.recipe.components import COMPONENTS, UNIONS, Component, expand
from harness.recipe.fields import Adapter, Data, LossScaler, Optimizer, Save, Tune
from harness.recipe.model import Recipe
from harness.recipe.suite import BESIDE_SUITES, Suite, read_suite

__all__ = [
    "BESIDE_SUITES",
    "COMPONENTS",
    "UNIONS",
    "Adapter",
    "Component",
    "Data",
    "LossScaler",
    "Optimizer",
    "Recipe",
    "Save",
    "Suite",
    "Tune",
    "expand",
    "read_suite",
]
