"""What memory follows from: how many parameters train and how many do not, and what a token costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.families.family import components_of

if TYPE_CHECKING:
    from torch import nn

    from harness.families import Family

OF_A_LAYER = (
    34  # bytes per token and hidden unit that one layer keeps for backward in 16 bits (Korthikanti et al. 2022)
)
OF_A_LOGIT = 12  # a logit in 16 bits and in fp32, and the gradient of each
OF_A_LAYERS_INPUT = 2


@dataclass(frozen=True)
class Text:
    """The language model's sizes, as far as its layers and its head show them."""

    hidden: int
    vocabulary: int
    layers: int

    def activations(self, tokens: int) -> int:
        """Bytes that so many tokens keep on a GPU under checkpointing: the inputs of all layers, one layer that is
        computed again, and the logits."""
        kept = OF_A_LAYERS_INPUT * self.layers + OF_A_LAYER
        return tokens * (kept * self.hidden + OF_A_LOGIT * self.vocabulary)


@dataclass(frozen=True)
class Counts:
    """Of a model as it is tuned, adapters and their copies included.

    `largest_layer` is the most that one module holds by itself, which ZeRO-3 gathers whole.
    """

    trained: int
    frozen: int
    largest_layer: int
    text: Text | None

    @classmethod
    def of(cls, model: nn.Module, text: Text | None) -> Counts:
        parameters = list(model.parameters())
        trained = sum(one.numel() for one in parameters if one.requires_grad)
        own = (sum(one.numel() for one in module.parameters(recurse=False)) for module in model.modules())
        return cls(trained, sum(one.numel() for one in parameters) - trained, max(own, default=0), text)


def text_of(family: Family, model: nn.Module) -> Text | None:
    """The sizes of the family's language model; None where it names no layers or no matrix of tokens."""
    import re

    layers = family.handles.layers.get("language")
    found = [module for path, module in model.named_modules() if layers and re.match(layers, path)]
    matrices = [
        parameter
        for path, parameter in model.named_parameters()
        if parameter.ndim == 2 and components_of(family, path) in ("embeddings", "lm_head")
    ]
    if len(found) != 1 or not matrices:
        return None
    vocabulary, hidden = matrices[-1].shape
    return Text(hidden, vocabulary, len(list(found[0].children())))
