"""Every vision-language model that the transformers library has, by the name of its type or by its configuration.

`transformers:TYPE` is a type with the defaults of its configuration class, `path:FILE` the model of a config.json, and
`published:NAME` that of a well-known checkpoint whose configuration is recorded here. What differs between types is
found out from the library itself; what cannot be is an entry of overrides.yaml.
"""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path
from typing import Any

from harness import stack, vision_transforms
from harness.families.library.code import Code, code_of
from harness.families.library.family import LibraryFamily
from harness.families.library.listing import reason_refused
from harness.families.library.models import Blueprint
from harness.families.library.overrides import NOTHING, override_of
from harness.families.library.published import checkpoints
from harness.families.library.types import NOT_VISION_LANGUAGE, classes_of, first_release, model_types
from harness.refusal import Refused

__all__ = ["LibraryFamily", "by_name", "reason_refused", "tried_types"]


def tried_types() -> tuple[str, ...]:
    """The types that are vision-language models."""
    return tuple(name for name in model_types() if name not in NOT_VISION_LANGUAGE)


@cache
def by_name(name: str) -> LibraryFamily:
    """The family `transformers:TYPE`, `path:FILE` or `published:NAME`. Raises Refused for what there is not."""
    vision_transforms.available()
    kind, _, rest = name.partition(":")
    return {"transformers": _of_type, "published": _of_checkpoint, "path": _of_file}[kind](name, rest)


def _of_type(name: str, model_type: str) -> LibraryFamily:
    if model_type not in model_types():
        _refuse_later(name, model_type)
        close = difflib.get_close_matches(model_type, model_types(), n=1)
        do = f"did you mean transformers:{close[0]}?" if close else "harness list families shows them"
        raise Refused(f"the installed transformers has no type {model_type!r} for pictures and text", do=do)
    if why := reason_refused(model_type):
        raise Refused(f"{name} cannot be had: {why}", do="harness list families shows those that can")
    _refuse_missing(name, override_of(model_type).needs)
    classes = classes_of(model_type)
    blueprint = Blueprint(model_type, classes, override_of(model_type))
    return LibraryFamily(name, blueprint, f"{classes.model}, as the transformers library has it")


def _of_checkpoint(name: str, checkpoint: str) -> LibraryFamily:
    if checkpoint not in checkpoints():
        close = difflib.get_close_matches(checkpoint, checkpoints(), n=1)
        do = f"did you mean published:{close[0]}?" if close else "harness list families shows them"
        raise Refused(f"the configuration of {checkpoint!r} is not recorded here", do=do)
    return _of_values(name, checkpoints()[checkpoint].config, f"the configuration of {checkpoint}")


def _of_file(name: str, path: str) -> LibraryFamily:
    from harness.checkpoint.json_files import CONFIG, entries

    file = Path(path, CONFIG) if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise Refused(f"{name}: no file {file}", do="name a directory with a config.json, or the file")
    return _of_values(name, entries(file), code=code_of(file.parent))


def _of_values(name: str, said: dict[str, Any], description: str = "", code: Code | None = None) -> LibraryFamily:
    """The model of a config.json: of a type that the library has, by the library's code, else by that beside it."""
    model_type = str(said.get("model_type"))
    if code and model_type not in model_types():
        blueprint = Blueprint(model_type, code.classes(), NOTHING, said, code)
        return LibraryFamily(name, blueprint, f"{blueprint.classes.model}, by the code in its directory")
    if model_type not in model_types():
        _refuse_later(name, model_type)
        raise Refused(f"{name}: {model_type!r} is no type of the installed transformers for pictures and text")
    _refuse_missing(name, override_of(model_type).needs)
    classes = classes_of(model_type)
    return LibraryFamily(
        name, Blueprint(model_type, classes, override_of(model_type), said), description or classes.model
    )


def _refuse_later(name: str, model_type: str) -> None:
    """Refuse a type that the installed transformers is too old for."""
    if first := first_release(model_type):
        major, minor = map(int, first.split("."))
        stack.refuse_older(name, (stack.Since("transformers", (major, minor), f"it has no type {model_type!r}"),))


def _refuse_missing(name: str, needs: tuple[str, ...]) -> None:
    for library in needs:
        if not stack.has(library):
            raise Refused(f"{name} needs {library}, which its code imports", do=f"pip install --no-deps {library}")
