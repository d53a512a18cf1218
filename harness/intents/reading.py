"""Intent files: one, or several by name over what they have in common, `FILE::NAME`; YAML or JSON.

Each is written in the user's words (`trainable`, `frozen`, ...) or out in full (`trains`, `mechanisms`, ...).
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from harness.intent import Intent, SaveIntent
from harness.intents.file import IntentFile, Saved
from harness.recipe.invalid import refusal_of
from harness.recipe.yaml_file import read_yaml
from harness.refusal import Refused

Promise = IntentFile | Intent
SEVERAL = ("description", "common", "intents")
IN_WORDS = set(IntentFile.model_fields) - set(Intent.model_fields)
IN_FULL = set(Intent.model_fields) - set(IntentFile.model_fields)
SCHEMA = "harness schema --intent"


def read_intent(given: str | Path) -> Promise:
    """The intent of a file, or the named one of several. Raises Refused, in one line, for what is none.

    `harness.intents.applied` makes of it, with a trace, what that is judged by.
    """
    path, _, name = str(given).partition("::")
    value = read_yaml(Path(path), "intent")
    several = isinstance(value, dict) and "intents" in value
    if not several:
        if name:
            raise Refused(f"has one intent, and none by the name {name}", where=path, do=f"leave out ::{name}")
        return intent_from(value, path)
    found = intents_of(value, path)
    if name not in found:
        what = f"has no intent {name!r}" if name else "has several intents"
        raise Refused(f"{what}; there are {', '.join(found)}", where=path, do=f"name one: {path}::{next(iter(found))}")
    return intent_from(found[name], str(given))


def intents_of(value: dict[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """By name, the settings of each intent of a file that has several."""
    if unknown := sorted(set(value) - set(SEVERAL)):
        raise Refused(
            f"unknown: {', '.join(unknown)}", where=where, do=f"beside intents there are {SEVERAL[0]}, common"
        )
    common, intents = value.get("common") or {}, value["intents"]
    if not isinstance(common, dict) or not isinstance(intents, dict) or not intents:
        raise Refused("common and intents are not mappings", where=where, do="write intents: {NAME: {trains: [...]}}")
    if bare := [name for name, own in intents.items() if not isinstance(own, dict)]:
        raise Refused(f"intents: {bare[0]} is no mapping", where=where, do="write at least trains: [...] under it")
    return {str(name): _over(common, own) for name, own in intents.items()}


def intent_from(value: Any, where: str) -> Promise:
    """The intent of settings. Raises Refused for wrong ones."""
    if isinstance(value, (Intent, IntentFile)):
        return value
    if not isinstance(value, dict):
        raise Refused("there is no intent", where=where, do="give one with --intent FILE")
    model = _model_of(value, where)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _unknown(error, model, where) or refusal_of(error, where, SCHEMA) from None


def _model_of(value: dict[str, Any], where: str) -> type[IntentFile] | type[Intent]:
    """In which of the two ways the settings are written."""
    words, full = (sorted(set(map(str, value)) & names) for names in (IN_WORDS, IN_FULL))
    if words and full:
        what = f"{words[0]} belongs to an intent file in words, {full[0]} to one that is written out in full"
        raise Refused(what, where=where, do=f"leave out {full[0]}, or {words[0]}")
    save = value.get("save")
    of_full = set(SaveIntent.model_fields) - set(Saved.model_fields)
    in_full = (
        full or isinstance(value.get("components"), (list, tuple)) or (isinstance(save, dict) and of_full & set(save))
    )
    return Intent if in_full and not words else IntentFile


def _unknown(error: ValidationError, model: type[BaseModel], where: str) -> Refused | None:
    """An unknown setting, and the known one that is nearest."""
    first = error.errors()[0]
    if first["type"] != "extra_forbidden":
        return None
    name = str(first["loc"][-1])
    close = difflib.get_close_matches(name, _settings(model) + _settings(Intent), n=1)
    setting = ".".join(str(part) for part in first["loc"])
    do = f"did you mean {close[0]}?" if close else f"{SCHEMA} lists every setting"
    return Refused(f"unknown setting {setting}", where=where, do=do)


def _settings(model: type[BaseModel]) -> list[str]:
    """The names of all settings of a model, and of what is inside it."""
    definitions = model.model_json_schema().get("$defs", {}).values()
    inside = [name for one in definitions for name in one.get("properties", {})]
    return list(dict.fromkeys([*model.model_fields, *inside]))


def _over(common: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """The common settings with an intent's own laid over them; of a mapping, its keys one by one."""
    laid = dict(common)
    for key, value in own.items():
        below = common.get(key)
        laid[key] = {**below, **value} if isinstance(below, dict) and isinstance(value, dict) else value
    return laid
