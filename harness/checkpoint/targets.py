"""Why an adapter's targets meet nothing in a model, and where the modules lie that they seem to mean."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

_LITERAL = re.compile(r"(?:\w|\\\.)+")
_SHOWN = 3


def why_unmet(targets: str | Sequence[str], paths: Collection[str]) -> str:
    """One line on targets that meet none of the paths: the prefix that differs, or that there is no such name."""
    words = set(re.findall(r"\w+", targets)) if isinstance(targets, str) else {t.rpartition(".")[2] for t in targets}
    meant = sorted(path for path in paths if path.rpartition(".")[2] in words and re.search(r"\.\d+\.", path))
    if not meant:
        leaves = sorted({path.rpartition(".")[2] for path in paths if re.search(r"\.\d+\.", path)})
        return f"no module has such a name; there are {', '.join(leaves[:_SHOWN])} and others"
    names = sorted({path.rpartition(".")[2] for path in meant})
    under = sorted({re.split(r"\.\d+\.", path)[0] for path in meant})
    prefix = _begins_with(targets)
    differs = f"the targets begin with {prefix!r}, but " if prefix else ""
    return f"{differs}{', '.join(names[:_SHOWN])} of this model lie under {' and '.join(under[:_SHOWN])}"


def _begins_with(targets: str | Sequence[str]) -> str:
    """The literal words that a regular expression begins with."""
    literal = _LITERAL.match(targets) if isinstance(targets, str) else None
    return literal[0].replace("\\.", ".").rstrip(".") if literal else ""
