"""Pieces of Markdown: texts that cannot break the layout, tables, and long lists that are cut and counted or folded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from harness.report.text import one_line

MOST_NAMES = 500  # of one list; more are counted
FOLDED_FROM = 30  # rows or names
_SPECIAL = re.compile(r"([\\`*\[\]<>|]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


def plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", one_line(text))


def code(text: str) -> str:
    """A code span, also inside a table, where a bar would end the cell."""
    line = one_line(text).replace("|", "\\|")
    if not line:
        return ""
    ticks = "`" * (_longest_run_of_ticks(line) + 1)
    return f"{ticks} {line} {ticks}" if "`" in line else f"{ticks}{line}{ticks}"


def fenced(text: str) -> str:
    fence = "`" * max(3, _longest_run_of_ticks(text) + 1)
    return f"{fence}text\n{text}\n{fence}"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> str:
    rule = ["---", *(["--:" if numbers else "---"] * (len(titles) - 1))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (titles, rule, *rows))


def names(level: int, title: str, all_names: Iterable[str]) -> list[str]:
    """A list of names under a title, if there are any. A long one is folded, a very long one cut and counted."""
    held = list(all_names)
    if not held:
        return []
    items = [f"- {code(name)}" for name in held[:MOST_NAMES]]
    items += [f"- and {len(held) - MOST_NAMES} more"] if len(held) > MOST_NAMES else []
    text = "\n".join(items)
    return [f"{'#' * level} {title}", text if len(held) < FOLDED_FROM else folded(f"{len(held)} of them", text)]


def folded(title: str, text: str) -> str:
    """Behind a title that opens it."""
    return f"<details><summary>{plain(title)}</summary>\n\n{text}\n\n</details>"


def _longest_run_of_ticks(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
