"""Which linear layers of a language model adapters usually sit on, by name, from the module tree."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

# Not called as layers: the model reads their weights itself, or they choose experts. weight_proj: peft loads no adapter
# of a layer whose saved name is that of its weight.
_NOT_ADAPTED = re.compile(r"gate|router|\w*router\w*|\w*indexer\w*|\w*gate_?score\w*|weight_proj")


def linear_names(model: Any, inside: str) -> tuple[str, ...]:
    """The last names of the linear layers whose paths match, in the order of the model. Of layers that share their
    weights there are none: merged into one, an adapter is in the other too."""
    from torch import nn

    owners = Counter(id(parameter) for _, parameter in model.named_parameters(remove_duplicate=False))
    found = dict.fromkeys(
        path.rpartition(".")[2]
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear) and owners[id(module.weight)] == 1 and re.match(inside, f"{path}.weight")
    )
    return tuple(name for name in found if not _NOT_ADAPTED.fullmatch(name) and not name.isdigit())
