"""The code that a saved directory brings along: the files its configurations name, and what those import."""

from __future__ import annotations

import ast
import functools
import posixpath
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.checkpoint.json_files import CONFIG, PREPROCESSOR_CONFIG, PROCESSOR_CONFIG, TOKENIZER_CONFIG, entries
from harness.refusal import Refused

NAMING = (CONFIG, TOKENIZER_CONFIG, PREPROCESSOR_CONFIG, PROCESSOR_CONFIG)
_FETCH = "copy it from the base directory: harness inspect DIR --base BASE --repair"
ELSEWHERE = "--"  # repo--module.Class: the code of a hub repository


@dataclass(frozen=True)
class CodeFiles:
    """The code files of a directory, by their paths in it, and in `problems` what will not load."""

    named: tuple[str, ...]
    missing: tuple[str, ...]
    elsewhere: tuple[str, ...]
    """What an auto_map names in a repository instead."""
    problems: tuple[Refused, ...]


def code_files(directory: Path) -> CodeFiles:
    """The .py files that any auto_map names, with their relative imports, and theirs in turn."""
    search = _Search(directory)
    for name in NAMING:
        for auto_map in _auto_maps(directory / name):
            search.follow_map(name, auto_map)
    missing = {name: by for name, by in search.named.items() if not (directory / name).is_file()}
    absent = [
        Refused(f"is missing, and {by} needs it", where=str(directory / name), do=_FETCH)
        for name, by in missing.items()
    ]
    problems = sorted([*search.problems, *absent], key=str)
    return CodeFiles(
        tuple(sorted(search.named)), tuple(sorted(missing)), tuple(sorted(search.elsewhere)), tuple(problems)
    )


def needed_code(base: Path, files: Iterable[str], code: Iterable[str]) -> list[str]:
    """The code that configurations and code files of a base call for, their imports and they themselves included."""
    search = _Search(base)
    for name in files:
        for auto_map in _auto_maps(base / name) if name in NAMING else ():
            search.follow_map(name, auto_map)
    for name in code:
        search.follow_file(name)
    return sorted(name for name in search.named if (base / name).is_file())


def _auto_maps(path: Path) -> Iterator[Any]:
    """The file's own auto_map; transformers 5 keeps an image processor, with its own, inside the processor's file."""
    content = entries(path)
    nested = content.values() if path.name == PROCESSOR_CONFIG else ()
    for part in (content, *nested):
        if isinstance(part, dict) and part.get("auto_map") is not None:
            yield part["auto_map"]


@dataclass
class _Search:
    """The files found so far, each with the file that named it first."""

    directory: Path
    named: dict[str, str] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)
    problems: list[Refused] = field(default_factory=list)

    def follow_map(self, name: str, auto_map: Any) -> None:
        # Tokenizers of old wrote the pair of slow and fast class without the Auto class they are for.
        values = list(auto_map.values()) if isinstance(auto_map, dict) else [auto_map]
        if not isinstance(auto_map, dict | list):
            self._problem(self.directory / name, f"has auto_map {_short(auto_map)}, which is no map to classes")
            return
        for value in values:
            for reference in value if isinstance(value, list) else [value]:
                self._follow_reference(name, reference)

    def _follow_reference(self, name: str, reference: Any) -> None:
        if reference is None:
            return
        if isinstance(reference, str) and ELSEWHERE in reference:
            self.elsewhere.add(reference)
            return
        module, dot, class_name = reference.partition(".") if isinstance(reference, str) else ("", "", "")
        if dot and module.isidentifier() and class_name.isidentifier():
            self.follow_file(f"{module}.py", name)
        else:
            self._problem(self.directory / name, f"names {_short(reference)} in auto_map, which is no module.Class")

    def follow_file(self, file: str, by: str = "") -> None:
        waiting = [(file, by)]
        while waiting:
            file, by = waiting.pop()
            if file in self.named:
                continue
            self.named[file] = by
            waiting += [(imported, file) for imported in self._imports(file)]

    def _imports(self, file: str) -> list[str]:
        """The files that a code file imports by relative names; transformers copies them together or not at all."""
        path = self.directory / file
        if not path.is_file():
            return []
        try:
            modules = _modules(path.read_bytes(), path.name)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OSError) as error:
            line = getattr(error, "lineno", None)
            where = f" in line {line}" if line else ""
            self._problem(path, f"is no Python that can be read: {getattr(error, 'msg', None) or error}{where}")
            return []
        files = [_file_of(self.directory, file, module, level) for module, level in modules]
        if None in files:
            self._problem(path, "imports from outside the directory by a relative name")
        return [imported for imported in files if imported]

    def _problem(self, path: Path, what: str) -> None:
        self.problems.append(Refused(what, where=str(path), do="save the model again, or mend the file"))


@functools.lru_cache(maxsize=256)
def _modules(source: bytes, name: str) -> list[tuple[str, int]]:
    """What a code file imports by relative names, in order; the same file lies in many directories."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape in somebody's string
        tree = ast.parse(source, name)
    return sorted(set(_relative_imports(tree)))


def _relative_imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every module imported by a relative name, and the number of its dots; wherever in the file, as transformers."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            modules = [node.module] if node.module else [alias.name for alias in node.names if alias.name != "*"]
            yield from ((module, node.level) for module in modules)


def _file_of(directory: Path, importer: str, module: str, level: int) -> str | None:
    """The path of an imported module in the directory; None where it lies outside."""
    place = posixpath.normpath(posixpath.join(posixpath.dirname(importer), *[".."] * (level - 1)))
    if place.startswith(".."):
        return None
    path = posixpath.normpath(posixpath.join(place, module.replace(".", "/")))
    return f"{path}/__init__.py" if (directory / path).is_dir() else f"{path}.py"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
