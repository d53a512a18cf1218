"""Kinds of values that several settings share: regular expressions, and lists that may be written as one word."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

_FLAGS_FOR_ALL = re.compile(r"\(\?[aiLmsux]+\)")


def valid_regex(pattern: str) -> str:
    """Return the pattern, or raise ValueError naming the place where it breaks."""
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    return pattern


def valid_part(pattern: str) -> str:
    """Return the pattern if it also works inside a larger one, where flags for the whole are not allowed."""
    if flags := _FLAGS_FOR_ALL.match(pattern):
        scoped = f"{flags[0][:-1]}:{pattern[flags.end() :]})"
        raise ValueError(f"{pattern!r} becomes a part of a larger expression, where {flags[0]} fails; write {scoped!r}")
    return valid_regex(pattern)


Regex = Annotated[str, AfterValidator(valid_regex)]
RegexPart = Annotated[str, Field(min_length=1), AfterValidator(valid_part)]
Name = Annotated[str, Field(min_length=1)]
Names = tuple[Name, ...]


class OneOrMore:
    """Marks a list whose only member may be written without the list."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(_as_tuple, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value
