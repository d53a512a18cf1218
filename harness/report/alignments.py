"""How features of pictures lie to embeddings of text, before and after the runs that were asked to tell it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

Alignments = dict[str, tuple[float | None, float | None]]
ALIGNMENT = "How pictures lie to text (mean cosine of their embeddings)"
_RECORDED = b'"name":"alignment"'


def alignments(folders: Iterable[Path]) -> Alignments:
    """The mean cosine before the first step and after the last, by recipe, from the traces that lie in the folders.

    None where it could not be told. A trace that cannot be read says nothing here: its checks say so.
    """
    found: Alignments = {}
    for stream in (path for folder in folders for path in sorted(folder.glob("runs/*/trace/rank-0/events.jsonl"))):
        lines = [line for line in _lines(stream) if _RECORDED in line]
        if lines:
            told = json.loads(lines[-1])
            header = json.loads((stream.parent.parent / "header.json").read_text(encoding="utf-8"))
            found[str(header.get("recipe_id"))] = (told.get("before"), told.get("after"))
    return found


def _lines(stream: Path) -> list[bytes]:
    try:
        return stream.read_bytes().splitlines()
    except OSError:
        return []


def shown(value: float | None) -> str:
    return "not told" if value is None else f"{value:+.3f}"
