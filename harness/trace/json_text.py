"""JSON from files that anybody may have written. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def parsed(data: bytes, made_of: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """The value of JSON data in UTF-8; `made_of` makes each object.

    Raises ValueError for data that is none, also for data nested deeper than it can be read.
    """
    try:
        return json.loads(data.decode("utf-8"), object_hook=made_of)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
