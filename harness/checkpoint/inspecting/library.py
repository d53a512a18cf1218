"""What transformers says of model types, read from its files: importing it takes seconds, and these need none of it."""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_SAME = re.compile(r"(?:Fast|Pil)$")
_SEEING = ("vision_config", "image_token_index", "image_token_id", "mm_vision_tower")


def plain(name: str) -> str:
    """The name of a class without the ending that says which backend it is on."""
    return _SAME.sub("", name)


def expects_images(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is a model's that sees."""
    return any(config.get(name) is not None for name in _SEEING)


@functools.cache
def processor_names() -> dict[str, set[str]]:
    """By model type: its processor's class. Empty where transformers is not installed."""
    return _mapping("PROCESSOR_MAPPING_NAMES", ("auto_mappings.py", "processing_auto.py"))


@functools.cache
def image_processor_names() -> dict[str, set[str]]:
    """By model type: its image processor's class, without its backend."""
    found = _mapping("IMAGE_PROCESSOR_MAPPING_NAMES", ("auto_mappings.py", "image_processing_auto.py"))
    return {kind: {plain(name) for name in names} for kind, names in found.items()}


def _mapping(name: str, files: tuple[str, ...]) -> dict[str, set[str]]:
    spec = importlib.util.find_spec("transformers")
    places = list(spec.submodule_search_locations or ()) if spec else []
    found: dict[str, set[str]] = {}
    for path in (Path(place) / "models" / "auto" / file for place in places for file in files):
        if path.is_file():
            for kind, classes in _pairs(path, name):
                found.setdefault(kind, set()).update(classes)
    return found


def _pairs(path: Path, name: str) -> Iterator[tuple[str, set[str]]]:
    """The pairs in every table whose name ends so: releases write an addition of what is missing beside the table."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.AnnAssign):
            targets: list[ast.expr] = [node.target]
        elif isinstance(node, ast.Assign):
            targets = node.targets
        else:
            continue
        if not any(isinstance(t, ast.Name) and t.id in (name, f"MISSING_{name}") for t in targets):
            continue
        for pair in ast.walk(node.value) if node.value else ():
            if isinstance(pair, ast.Tuple) and len(pair.elts) == 2 and isinstance(pair.elts[0], ast.Constant):
                words = {
                    leaf.value
                    for leaf in ast.walk(pair.elts[1])
                    if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str) and leaf.value[:1].isupper()
                }
                if isinstance(pair.elts[0].value, str) and words:
                    yield pair.elts[0].value, words
