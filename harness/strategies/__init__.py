"""Layer 3. Hypothesis strategies: recipes that can work, by construction, and recipes that break a named rule.

    >>> from harness.strategies import recipes
    >>> @given(recipes())
    ... def test_my_trainer_does_what_it_is_asked(recipe): ...

See docs/properties.md. Needs Hypothesis, which `finetune-harness[properties]` brings.
"""

from harness.strategies.broken import BREAKS, broken_recipes
from harness.strategies.shown import as_suite, as_yaml
from harness.strategies.valid import FAMILIES, recipes, settings_of

__all__ = ["BREAKS", "FAMILIES", "as_suite", "as_yaml", "broken_recipes", "recipes", "settings_of"]
