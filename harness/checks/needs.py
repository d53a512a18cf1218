"""What a check needs. From these alone follow the plan (runs, probes, reload), `not_applicable` and `blocked`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from harness.result import Reason

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.recipe import Recipe
    from harness.trace.reader import Trace


@dataclass(frozen=True, kw_only=True)
class Need:
    """One thing that must be asked for, and then be there.

    `refusal` says why the intent does not call for the check, `missing` why evidence that should be there is not.
    """

    probe: str | None = None
    reload: bool = False
    base: bool = False

    def refusal(self, intent: Intent) -> Reason | None:
        return None

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return None

    def incomparable(self, intent: Intent, partners: Mapping[str, Trace]) -> str | None:
        """Why what was found cannot be held against what was asked for, where no finding says that it falls short."""
        return None


@dataclass(frozen=True)
class _Parameters(Need):
    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return None if trace.parameters else "no model met an optimizer"


@dataclass(frozen=True)
class Steps(Need):
    """At least so many optimizer steps; `effective` ones were not skipped by a scaler."""

    count: int = 1
    effective: bool = False

    def refusal(self, intent: Intent) -> Reason | None:
        if intent.steps is None:
            return None
        skipped_on_purpose = self.effective and intent.mechanisms.overflow
        return Reason.TOO_FEW_STEPS if intent.steps - skipped_on_purpose < self.count else None

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        steps = trace.effective_steps if self.effective else trace.steps
        if len(steps) >= self.count:
            return None
        what = "effective optimizer steps" if self.effective else "optimizer steps"
        return f"{len(steps)} {what} were recorded, {self.count} are needed"


@dataclass(frozen=True)
class _Closed(Need):
    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return None if trace.closed else f"the run ended early, at stage {trace.stage}"


@dataclass(frozen=True)
class _FrozenPart(Need):
    """Something of the model is meant to stay: what an adapter sits on, or a component that is not trained whole."""

    def refusal(self, intent: Intent) -> Reason | None:
        patterns = {pattern for pattern, _ in intent.components}
        whole = not intent.adapter and patterns and patterns <= set(intent.trains)
        return Reason.NOTHING_FROZEN if whole else None


@dataclass(frozen=True)
class _SeveralProcesses(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.processes > 1 else Reason.ONE_PROCESS


@dataclass(frozen=True)
class _SteppedInPlace(Need):
    """The optimizer steps the weights themselves, and no copies of theirs in more bits."""

    def refusal(self, intent: Intent) -> Reason | None:
        elsewhere = intent.mechanisms.zero and intent.weights != "float32"
        return Reason.MASTERS_ELSEWHERE if elsewhere else None


@dataclass(frozen=True)
class _Adapter(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.adapter else Reason.NO_ADAPTER


@dataclass(frozen=True)
class _Images(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.has_images else Reason.NO_IMAGES


@dataclass(frozen=True)
class _Reload(Need):
    reload: bool = True

    def refusal(self, intent: Intent) -> Reason | None:
        return Reason.NOTHING_SAVED if intent.save.what == "nothing" else None

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        if trace.reloaded is not None:
            return None
        return "nothing was saved" if not trace.closed else "no process loaded the saved directory"


@dataclass(frozen=True)
class _ReloadIfSaved(_Reload):
    """What was saved is loaded, where anything was: there is something to judge without it."""

    def refusal(self, intent: Intent) -> Reason | None:
        return None

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return None if intent.save.what == "nothing" else super().missing(intent, trace)


@dataclass(frozen=True)
class _Loaded(_Reload):
    def missing(self, intent: Intent, trace: Trace) -> str | None:
        if missing := super().missing(intent, trace):
            return missing
        failed = trace.reloaded is not None and "model_error" in trace.reloaded
        return "the saved directory does not load" if failed else None


@dataclass(frozen=True)
class _Processor(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.save.processor_class else Reason.NO_PROCESSOR_SAVED


@dataclass(frozen=True)
class _Tokenizer(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.save.tokenizer else Reason.NO_TOKENIZER_SAVED


@dataclass(frozen=True)
class _Weights(_Reload):
    """Weights of the model itself are saved, not of an adapter alone, and were listed."""

    def refusal(self, intent: Intent) -> Reason | None:
        return Reason.ADAPTER_SAVED if intent.save.what == "adapter" else super().refusal(intent)

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        if missing := super().missing(intent, trace):
            return missing
        return None if trace.inventory is not None else "the saved directory could not be listed"


@dataclass(frozen=True)
class _AddedTokens(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.resized else Reason.NO_TOKENS_ADDED


@dataclass(frozen=True)
class Probe(Need):
    """A named extra pass over the trained model."""

    def refusal(self, intent: Intent) -> Reason | None:
        made = intent.probed and (intent.probes is None or self.probe is None or self.probe in intent.probes)
        return None if made else Reason.NOT_PROBED

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        if self.probe is None:
            return None
        made = trace.probe(self.probe)
        if made is None:
            return f"probe {self.probe} was not made"
        return f"probe {self.probe} failed: {made['error']}" if "error" in made else None


@dataclass(frozen=True)
class _Forwards(Need):
    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return None if trace.of("forward") else "no training forward was recorded"


@dataclass(frozen=True)
class _DataPromise(_Forwards):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.samples_known else Reason.NO_DATA_PROMISE

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return super().missing(intent, trace) if trace.of("data") else "the samples were not announced"


@dataclass(frozen=True)
class _Base(Need):
    """The base directory was listed and verified before training."""

    base: bool = True

    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.base else Reason.NO_BASE

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return None if trace.header.get("base") else "the base directory has no inventory"


@dataclass(frozen=True)
class _VerifiedBase(_Base):
    """A process that knows no family loaded the base directory before training."""

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return None if trace.base_reloaded is not None else "no process verified the base directory"


# Settings of a partner run of which nothing is wanted but its steps.
ALONE: Mapping[str, Any] = MappingProxyType({"agrees_with": [], "save": {"what": "nothing"}})


@dataclass(frozen=True)
class Partner(Need):
    """Another run of the same recipe with some settings changed; the check gets its trace under `name`.

    `changes` are the settings by dotted name, or what gives them for a recipe. One that is `measured` is timed, and its
    memory watched, as far as its recipe's budget says.
    """

    name: str = "partner"
    changes: Mapping[str, Any] | Callable[[Recipe], Mapping[str, Any]] = field(default_factory=dict)
    measured: bool = False

    def changes_of(self, recipe: Recipe) -> Mapping[str, Any]:
        """The settings that are others in the partner run of a recipe."""
        return self.changes(recipe) if callable(self.changes) else self.changes

    def missing_of(self, partner: Trace) -> str | None:
        """What the partner's trace lacks, though it came to its end."""
        return None

    def __hash__(self) -> int:
        fixed = () if callable(self.changes) else sorted(self.changes.items())
        return hash((self.name, repr(fixed)))


Parameters = _Parameters()
Closed = _Closed()
FrozenPart = _FrozenPart()
SeveralProcesses = _SeveralProcesses()
SteppedInPlace = _SteppedInPlace()
AnAdapter = _Adapter()
Images = _Images()
Reload = _Reload()
ReloadIfSaved = _ReloadIfSaved()
# Made for the check and not missed by it: what else it sees says something without them.
ListedIfSaved, BaseIfThere = Need(reload=True), Need(base=True)
Loaded = _Loaded()
SavedProcessor = _Processor()
SavedTokenizer = _Tokenizer()
SavesWeights = _Weights()
AddedTokens = _AddedTokens()
Forwards = _Forwards()
DataPromise = _DataPromise()
Base = _Base()
VerifiedBase = _VerifiedBase()
