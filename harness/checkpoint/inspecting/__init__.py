"""A saved directory, judged without training and without running code that it brings along.

    >>> from harness.checkpoint.inspecting import inspect
    >>> for name, finding in inspect(Path("saved"), base=Path("base")).findings: ...

Each check is a function from a `Case` to findings; `NAMES` says what each is about. Of weights headers are read alone,
unless hashes are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.checkpoint.fit import Fit
from harness.checkpoint.inspecting import adapters, files, keys, sizes, tokens, values
from harness.checkpoint.inspecting.case import Case, NotJudged, Rule
from harness.checkpoint.inspecting.directory import Directory
from harness.checkpoint.inspecting.findings import AdapterMisfit, OtherModel
from harness.checkpoint.inspecting.meant import KINDS, Meant
from harness.checkpoint.inspecting.names import NAMES
from harness.checkpoint.inspecting.values import Scanned
from harness.result import Finding, Severity

__all__ = ["KINDS", "NAMES", "Directory", "Inspection", "Meant", "inspect"]

_ALWAYS: Mapping[str, Rule] = {
    "inspect.readable": files.readable,
    "inspect.shards": files.shards,
    "inspect.files": files.files,
    "inspect.code": files.code,
    "inspect.model": files.model,
    "inspect.vocabulary": tokens.vocabulary,
    "inspect.processor": tokens.processor,
    "inspect.chat_template": tokens.chat_template,
}
_OF_WEIGHTS: Mapping[str, Rule] = {
    "inspect.keys": keys.keys,
    "inspect.names": keys.names,
    "inspect.shapes": keys.shapes,
    "inspect.configuration": sizes.configuration,
    "inspect.dtypes": sizes.dtypes,
    "inspect.ties": sizes.ties,
    "inspect.values": values.values,
}
_OF_ADAPTERS: Mapping[str, Rule] = {
    "inspect.adapter": adapters.adapter,
    "inspect.ranks": adapters.ranks,
    "inspect.beside": adapters.beside,
    "inspect.base": adapters.base,
}
_OF_ITSELF = ("inspect.model", "inspect.adapter", "inspect.readable", "inspect.shards", "inspect.ranks")


@dataclass(frozen=True)
class Inspection:
    """What was found. A check that is neither in `findings` nor in `not_judged` found nothing wrong."""

    kind: str
    findings: tuple[tuple[str, Finding], ...]
    """The name of the check, and what it found."""
    judged: tuple[str, ...]
    """The checks that were made to their end."""
    not_judged: Mapping[str, str]
    """By check: why it has nothing to say of this directory."""
    saved: Directory
    """The directory, as far as it was read."""
    fit: Fit | None = None
    """How an adapter meets the base."""
    scanned: Mapping[str, Scanned] = field(default_factory=dict)
    """By key: fingerprints, where hashes were asked for."""

    @property
    def errors(self) -> int:
        """How many findings are no mere warnings."""
        return sum(finding.severity is Severity.ERROR for _, finding in self.findings)


def inspect(
    directory: Path | Directory,
    base: Path | Directory | None = None,
    meant: Meant | None = None,
    *,
    hashes: bool = False,
    build: bool = True,
) -> Inspection:
    """Judge a saved directory, against its base where one is given.

    `meant` says what it was meant to hold; without it its files are asked, and everything that the base has to prepare
    inputs is missed. Without `build` no class of transformers is built, which takes the
    seconds that importing it takes. A base that many were trained from may be given as a `Directory`, and is read once.
    Raises nothing but OSError, for what may not be read at all.
    """
    saved = Directory(directory) if isinstance(directory, Path) else directory
    started = Directory(base) if isinstance(base, Path) else base
    meant = meant or Meant()
    kind = meant.kind or ("native adapter" if adapters.is_native(saved) else saved.kind)
    case = Case(saved, started, kind, tuple(map(re.compile, meant.left_out)), meant.without, hashes, build)
    found: list[tuple[str, Finding]] = []
    not_judged: dict[str, str] = {}
    rules = _rules(case)
    for name, rule in rules.items():
        try:
            found += [(name, finding) for finding in rule(case)]
        except NotJudged as why:
            not_judged[name] = str(why)
    if any(isinstance(finding, (OtherModel, AdapterMisfit)) for _, finding in found):
        # Held against another model everything differs, and one line says so.
        found = [(name, finding) for name, finding in found if name in _OF_ITSELF]
    judged = tuple(name for name in rules if name not in not_judged)
    known = case.remembered
    return Inspection(case.kind, tuple(found), judged, not_judged, saved, known.get("fit"), known.get("scanned", {}))


def _rules(case: Case) -> dict[str, Rule]:
    """The checks that this kind of save calls for."""
    if case.kind == "processing":
        return dict(_ALWAYS)
    if case.kind == "nothing":
        return {}
    adapter = "adapter" in case.kind
    return {**_ALWAYS, **_OF_WEIGHTS, **(_OF_ADAPTERS if adapter else {})}
