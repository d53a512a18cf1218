"""Which linear layers of a language model adapters usually sit on, by name, from the module tree."""

from __future__ import annotations

import re
from typing import Any

# Not called as layers: the model reads their weights itself, or they choose experts.
_NOT_ADAPTED = re.compile(r"gate|router|\w*router\w*|\w*indexer\w*|\w*gate_?score\w*")


def linear_names(model: Any, inside: str) -> tuple[str, ...]:
    """The last names of the linear layers whose paths match, in the order of the model."""
    from torch import nn

    found = dict.fromkeys(
        path.rpartition(".")[2]
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear) and re.match(inside, f"{path}.weight")
    )
    return tuple(name for name in found if not _NOT_ADAPTED.fullmatch(name) and not name.isdigit())
