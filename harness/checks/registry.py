"""The table of checks."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from harness.own_code import is_beside_a_suite, named
from harness.refusal import Refused

if TYPE_CHECKING:
    from harness.checks.needs import Need, Partner
    from harness.result import Finding

Judge = Callable[..., "Iterator[Finding]"]
GROUP = "harness.checks"
MODULES = (
    "completion",
    "mechanisms",
    "loading",
    "hand_over",
    "loads",
    "towers",
    "settings",
    "written",
    "trainable_set",
    "frozen",
    "movement",
    "optimizer",
    "numerics",
    "precision",
    "scaler",
    "scaler_variants",
    "scaler_steps",
    "order",
    "accumulation",
    "auxiliary_loss",
    "replicas",
    "equivalence",
    "laziness",
    "attention",
    "checkpointing",
    "resumed",
    "logging",
    "throughput",
    "memory",
    "clipping",
    "rates",
    "decay",
    "zero_configuration",
    "determinism",
    "adapters",
    "adapter_ranks",
    "adapter_kept",
    "adapter_behaviour",
    "adapter_merging",
    "samples",
    "supervision",
    "template",
    "sample_integrity",
    "images",
    "image_features",
    "batch_invariance",
    "saved_files",
    "saved",
    "saved_tensors",
    "saved_whole",
    "saved_shards",
    "saved_vocabulary",
    "adapter_saved",
    "resuming",
)


@dataclass(frozen=True)
class Check:
    """A named property of a run.

    `judge` is called with the intent and the trace, and with the trace of each partner run by name.
    """

    name: str
    title: str
    source: str
    needs: tuple[Need, ...]
    judge: Judge

    @property
    def probes(self) -> tuple[str, ...]:
        return tuple(need.probe for need in self.needs if need.probe)

    @property
    def reload(self) -> bool:
        return any(need.reload for need in self.needs)

    @property
    def base(self) -> bool:
        return any(need.base for need in self.needs)

    @property
    def partners(self) -> tuple[Partner, ...]:
        from harness.checks.needs import Partner

        return tuple(need for need in self.needs if isinstance(need, Partner))


_registered: dict[str, Check] = {}
_of_suites: set[str] = set()  # names of checks that came with a module which a suite has named


def check(
    title: str, *, source: str = "", needs: Sequence[Need] = (), name: str | None = None
) -> Callable[[Judge], Judge]:
    """Register a check under its function's name, or under `name`.

    `title` says what holds when it passes; `source` names the failure or the text it comes from.
    """

    def register(judge: Judge) -> Judge:
        key = name or judge.__name__
        if key in _registered and _registered[key].judge.__module__ != judge.__module__:
            raise Refused(f"two checks are named {key!r}", do="rename one of them")
        _registered[key] = Check(key, title, source, tuple(needs), judge)
        return judge

    return register


@cache
def _load_shipped() -> None:
    for module in MODULES:
        importlib.import_module(f"harness.checks.{module}")
    for point in entry_points(group=GROUP):
        point.load()


def own_check(target: str) -> Check:
    """The check of somebody else's that a suite names as module:name. Raises Refused for what is none."""
    _load_shipped()
    before = set(_registered)
    try:
        found = named(target, "check")
    finally:
        _of_suites.update(set(_registered) - before)
    own = next((one for one in _registered.values() if one.judge is found), None)
    if own is None:
        raise Refused(f"check {target!r} is no check", do="put @check above the function")
    return own


def _is_for_everybody(one: Check) -> bool:
    return one.name not in _of_suites and not is_beside_a_suite(one.judge.__module__)


def _place(one: Check) -> int:
    """The shipped modules in their order, whichever was imported first; then whatever else there is."""
    package, _, module = one.judge.__module__.rpartition(".")
    return MODULES.index(module) if package == "harness.checks" and module in MODULES else len(MODULES)


class _Checks:
    """All checks by name: the shipped ones, those of entry points, and what the process itself has registered.

    Those that suites bring along are found by name, and are not among all of them: other suites know nothing of them.
    """

    def __getitem__(self, name: str) -> Check:
        _load_shipped()
        if name not in _registered:
            close = difflib.get_close_matches(name, _registered)
            do = f"did you mean {close[0]}?" if close else "harness list checks shows them"
            raise Refused(f"unknown check {name!r}", do=do)
        return _registered[name]

    def __iter__(self) -> Iterator[Check]:
        _load_shipped()
        return iter(sorted(filter(_is_for_everybody, _registered.values()), key=_place))

    def named(self, names: Sequence[str]) -> tuple[Check, ...]:
        return tuple(self[name] for name in names)

    def forget(self, name: str) -> Any:
        """Take a check out again, for tests that register their own."""
        return _registered.pop(name, None)


CHECKS = _Checks()
