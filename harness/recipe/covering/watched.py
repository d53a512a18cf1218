"""A recipe that notes which of its settings somebody looks at: what a rule did not read cannot have decided it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from types import MethodType
from typing import Any

from pydantic import BaseModel


@dataclass
class Reads:
    """Settings by dotted name: those whose value was read, and those of which only whether they are there."""

    values: set[str] = field(default_factory=set)
    presence: set[str] = field(default_factory=set)

    def touch(self, axis: str) -> bool:
        """Whether what the setting of that name is can have made a difference."""
        return any(_within(one, axis) or _within(axis, one) for one in self.values) or any(
            _within(one, axis) for one in self.presence
        )


class Watched:
    """Stands in for a model of settings, also before `isinstance`, and notes what is read of it."""

    def __init__(self, model: BaseModel, reads: Reads, path: str = "") -> None:
        self.__dict__.update(_model=model, _reads=reads, _path=path)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self.__dict__["_model"])

    def __getattr__(self, name: str) -> Any:
        model, reads, path = (self.__dict__[key] for key in ("_model", "_reads", "_path"))
        if name not in type(model).model_fields:
            return self._computed(name)
        value, setting = getattr(model, name), f"{path}.{name}" if path else name
        if isinstance(value, BaseModel):
            reads.presence.add(setting)
            return Watched(value, reads, setting)
        (reads.presence if value is None else reads.values).add(setting)
        return value

    def __eq__(self, other: object) -> bool:
        self._whole()
        return bool(self.__dict__["_model"] == (other.__dict__["_model"] if type(other) is Watched else other))

    def __hash__(self) -> int:
        self._whole()
        return hash(self.__dict__["_model"])

    def _computed(self, name: str) -> Any:
        """Our own properties and methods are made of what is noted; those of pydantic look at everything."""
        model = self.__dict__["_model"]
        found = inspect.getattr_static(type(model), name, None)
        own = not hasattr(BaseModel, name)
        if own and isinstance(found, property) and found.fget:
            return found.fget(self)
        if own and inspect.isfunction(found):
            return MethodType(found, self)
        self._whole()
        return getattr(model, name)

    def _whole(self) -> None:
        path = self.__dict__["_path"]
        model = self.__dict__["_model"]
        names = {path} if path else set(type(model).model_fields)
        self.__dict__["_reads"].values.update(names)


def _within(setting: str, other: str) -> bool:
    """Whether a setting is another one or a part of it."""
    return setting == other or setting.startswith(f"{other}.")
