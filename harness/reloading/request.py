"""What a process that knows no family is asked to load, and to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """What to load and what to try on it. `stream` is where the record goes; the rest is as a run left it.

    `attention` is how attention is computed, where the recipe says; `base` is what a save of a part of the model is
    laid over; `code` is where a trainer's own code lies that loads an adapter of its own, beside the base unless it is
    named; `parts` are the files laid over a directory that training starts from, with their kinds; `towers` are
    those that may be made anew from directories of their own, `settings` is what the configuration should say of them;
    `handed` holds what a model computed before it was merged into the directory; `modules` is where code files may be
    copied; `loader` and `processor_loader` name functions of the user's own, for what Auto classes cannot load;
    `pixels` are written as numbers, not as digests alone, where they are compared with another library's. Of a
    stranger's script `positional` is what its model is called with by position, and `listed` a directory that has
    nothing but the files it has saved, where the one that it saved them in may hold anything.
    """

    directory: str
    stream: str
    inputs: str
    arguments: dict[str, Any]
    generation: dict[str, Any]
    prompts: dict[str, Any]
    dtype: str
    modules: str
    positional: Sequence[Any] = ()
    listed: str = ""
    device: str = "cpu"
    tf32: bool = False
    attention: str | None = None
    what: str = "full"
    base: str = ""
    code: str = ""
    parts: Sequence[dict[str, str]] = ()
    handed: str | None = None
    towers: Sequence[dict[str, Any]] = ()
    settings: dict[str, str] = field(default_factory=dict)
    tokenizer: bool = True
    processor: bool = True
    trust_remote_code: bool = False
    loader: str | None = None
    processor_loader: str | None = None
    pixels: bool = False
