"""Intent files: one intent, or several by name over what they have in common, `FILE::NAME`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.refusal import Refused

if TYPE_CHECKING:
    from harness.intent import Intent

SEVERAL = ("description", "common", "intents")


def intent_at(given: str) -> Intent:
    """The intent of a file, or the named one of several. Raises Refused for what is none."""
    from harness.recipe.yaml_file import read_yaml

    path, _, name = given.partition("::")
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
    return intent_from(found[name], given)


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


def intent_from(value: Any, where: str) -> Intent:
    """The intent of settings. Raises Refused for wrong ones."""
    from pydantic import ValidationError

    from harness.intent import Intent
    from harness.recipe.suite import refusal_of

    if not isinstance(value, dict):
        raise Refused("there is no intent", where=where, do="give one with --intent FILE")
    try:
        return Intent.model_validate(value)
    except ValidationError as error:
        raise refusal_of(error, where) from None


def _over(common: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """The common settings with an intent's own laid over them; of a mapping, its keys one by one."""
    laid = dict(common)
    for key, value in own.items():
        below = common.get(key)
        laid[key] = {**below, **value} if isinstance(below, dict) and isinstance(value, dict) else value
    return laid
