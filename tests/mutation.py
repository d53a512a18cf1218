"""mutmut, made to mutate the checks too: `python -m tests.mutation run`, and so every other command of mutmut's.

By itself mutmut leaves decorated functions alone, and every check is one: its copies would be decorated as well, and so
registered. Here the decorator stays on what is called, and the copies go without.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Sequence

import libcst
from mutmut.__main__ import cli
from mutmut.mutation import file_mutation

DECORATORS = ("check", "property")  # what they do to a function, they do to one that chooses between its mutants

_skips = file_mutation.MutationVisitor._skip_node_and_children
_arranged = file_mutation.function_trampoline_arrangement


def _is_known(node: libcst.Decorator) -> bool:
    called = node.decorator.func if isinstance(node.decorator, libcst.Call) else node.decorator
    return isinstance(called, libcst.Name) and called.value in DECORATORS


def _bare(node: libcst.CSTNode) -> libcst.CSTNode:
    """The function without the decorators that its mutants need not have."""
    if isinstance(node, libcst.FunctionDef) and all(map(_is_known, node.decorators)):
        return node.with_changes(decorators=())
    return node


def skips(visitor: file_mutation.MutationVisitor, node: libcst.CSTNode) -> bool:
    return _skips(visitor, _bare(node))


def arranged(
    function: libcst.FunctionDef, mutants: Iterable[file_mutation.Mutation], class_name: str | None
) -> tuple[
    Sequence[libcst.CSTNode],
    Sequence[libcst.CSTNode],
    Sequence[libcst.CSTNode],
    Sequence[str],
]:
    declared, (chooser, *copies), assigned, names = _arranged(function, mutants, class_name)
    return declared, [chooser, *map(_bare, copies)], assigned, names


if __name__ == "__main__":
    file_mutation.MutationVisitor._skip_node_and_children = skips
    file_mutation.function_trampoline_arrangement = arranged
    os.register_at_fork(after_in_child=gc.freeze)  # or each child's first collection copies the parent's memory
    cli()
