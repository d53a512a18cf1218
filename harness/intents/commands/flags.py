"""Flags as argparse and transformers' HfArgumentParser read them, by a table of what each promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.refusal import Refused

Kind = Literal["text", "bool", "int", "float", "list", "switch"]
_TRUE, _FALSE = ("true", "1", "yes", "y", "t", "on"), ("false", "0", "no", "n", "f", "off")


@dataclass(frozen=True)
class Flag:
    """What a flag promises; nothing where it says nothing about what trains, how, or what is saved."""

    promises: str = ""
    kind: Kind = "text"
    default: Any = None


Table = Mapping[str, Flag]


def silent(*names: str, kind: Kind = "text") -> dict[str, Flag]:
    """Flags that a program has and that promise nothing which could be judged."""
    return {name: Flag(kind=kind) for name in names}


@dataclass
class Flags:
    """What was given, by name: the value as it is read, and every word of it as it was written."""

    table: Table
    values: dict[str, Any] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    quirks: dict[str, str] = field(default_factory=dict)  # what a flag really promises, by its name
    unjudged: dict[str, str] = field(default_factory=dict)  # name to why, of flags that promise something

    def __getitem__(self, name: str) -> Any:
        """The value of a flag, given or by default."""
        return self.values.get(name, self.table[name].default if name in self.table else None)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def put(self, name: str, value: str | Sequence[str] | Any, written: str) -> None:
        """Take a flag in; the last of several is the one that holds, as for argparse."""
        key = name.replace("-", "_")
        if key.startswith("no_") and key[3:] in self.table and self.table[key[3:]].kind == "bool":
            key, value = key[3:], "false"
        if key not in self.table:
            self.unknown.append(written)
            return
        self.values[key] = _read(key, self.table[key].kind, value)
        self.written[key] = written

    def not_judged(self, name: str, why: str) -> None:
        """Say of a flag that was given why what it promises cannot be held against a run."""
        if name in self.values:
            self.unjudged[name] = why


def read_flags(words: Sequence[str], table: Table) -> Flags:
    """The flags of a command line, each of its words in one place: among the values, or among the unknown."""
    flags = Flags(table)
    at = 0
    while at < len(words):
        word = words[at]
        if not word.startswith("--") or word == "--":
            flags.unknown.append(word)
            at += 1
            continue
        name, equals, value = word[2:].partition("=")
        if equals:
            flags.put(name, value, word)
            at += 1
            continue
        taken = _values(words, at + 1, table.get(name.replace("-", "_")))
        flags.put(name, taken, " ".join(words[at : at + 1 + len(taken)]))
        at += 1 + len(taken)
    return flags


def _values(words: Sequence[str], start: int, flag: Flag | None) -> list[str]:
    """The words that belong to a flag: one, none for a switch, all up to the next flag for a list or an unknown one."""
    most = {"switch": 0, "list": len(words)}.get(flag.kind, 1) if flag else len(words)
    taken: list[str] = []
    for word in words[start:]:
        if word.startswith("--") or len(taken) == most:
            break
        taken.append(word)
    return taken


def _read(name: str, kind: Kind, given: Any) -> Any:
    """A value as its flag reads it. Raises Refused for one that it does not take."""
    if kind == "list":
        return [str(one) for one in given] if isinstance(given, (list, tuple)) else str(given).split(",")
    value = given[0] if isinstance(given, (list, tuple)) and given else given
    if kind == "switch" or (kind == "bool" and (value is None or value == [])):
        return True
    if kind == "bool":
        word = str(value).lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise Refused(f"--{name} {value}: is neither true nor false", where="--from-command", do="write true or false")
    if value == [] or value is None:
        raise Refused(f"--{name} has no value", where="--from-command", do="give one")
    if kind in ("int", "float"):
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise Refused(f"--{name} {value}: is no number", where="--from-command", do="write one out") from None
        return int(number) if kind == "int" else number
    return str(value)
