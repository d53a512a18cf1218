"""What a run could only find out when it is too late: refused before anything is trained."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from harness.refusal import Refused


def refuse_keyword(keyword: str) -> None:
    """Refuse a -k that pytest cannot read; pytest itself would say so in words of its own."""
    from _pytest.mark.expression import Expression

    if not keyword.strip():
        return
    try:
        Expression.compile(keyword)
    except Exception as error:  # another class with each release of pytest
        raise Refused(f"-k {keyword!r} is no expression: {error}", do="write it like 'loss and not saved'") from None


def refuse_quick_with(recipes: Sequence[str] | None, write_baseline: Path | None) -> None:
    """Refuse what the quick gate cannot be asked for at the same time."""
    if recipes:
        raise Refused("--quick chooses the recipes, and so does --recipe", do="give one of them")
    if write_baseline:
        raise Refused("--quick runs too little for a baseline", do="write one in a full run, without --quick")


def refuse_gate_with(keyword: str, golden: Path | None, saved: bool) -> None:
    """Refuse goldens that there are not, and a choice of checks that leaves none of what a gate adds."""
    from harness.golden.index import read_index

    if keyword.strip() and (golden is not None or saved):
        raise Refused(
            "-k chooses checks of the suites, and goldens have none", do="leave out -k, --golden or --inspect"
        )
    if golden is not None:
        read_index(golden)


def refuse_unwritable(path: Path) -> None:
    """Refuse a file that could not be written."""
    if path.is_dir():
        raise Refused("is a directory", where=str(path), do="name a file")
    if not path.parent.is_dir():
        raise Refused(f"there is no directory {path.parent}", where=str(path), do="make it, or choose another place")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise Refused("cannot be written", where=str(path), do="choose another place")
