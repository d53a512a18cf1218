"""What a check says: findings, and one result per recipe and check. Standard library only."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any


class Status(str, Enum):
    """One word per (recipe, check)."""

    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    KNOWN_FAILURE = "known_failure"
    FIXED = "fixed"
    NOT_APPLICABLE = "not_applicable"
    BLOCKED = "blocked"
    NOT_COMPARABLE = "not_comparable"


class Reason(str, Enum):
    """Why a check does not apply. A closed list, so that a check cannot quietly talk itself out of its work."""

    NOTHING_FROZEN = "the recipe freezes nothing"
    TOO_FEW_STEPS = "the recipe takes fewer optimizer steps than the check needs"
    ONE_PROCESS = "the recipe is made in one process"
    NOT_ASKED_TO_AGREE = "the recipe names no such way of making it that it must agree with"
    NOTHING_LOGGED = "the recipe logs nothing"
    NOTHING_RECOMPUTED = "the recipe computes no layer again in the backward pass"
    NO_SHARDS_SAVED = "the recipe leaves no checkpoint of shards"
    NO_DEEPSPEED = "the recipe is not trained by DeepSpeed"
    NOT_PARTITIONED = "each process has every parameter whole"
    NO_ADAPTER = "the recipe has no adapter"
    NO_IDENTITY = "an adapter of this kind changes the model from the start"
    NO_MERGING = "an adapter of this method cannot be merged"
    RANKS_FIXED = "the adapter gives no ranks away"
    ON_NO_LAYER = "an adapter of this method sits on no layer of the model"
    NO_NUMBERS = "an adapter of this method has no rank and no scaling that the recipe says"
    BIASES_TRAINED = "biases of the model itself train, and stay when the adapter is off"
    BASE_REWRITTEN = "the adapter's initialisation rewrites the weights under it"
    TOKENS_ADDED = "tokens were added, which the base does not have"
    TRAINED_IN_PLACE = "what trains beside the adapter trains in place, and stays when the adapter is off"
    ADAPTER_CONTINUED = "the adapter begins as an earlier run has saved it"
    ADAPTER_NEW = "the adapter is a new one, and continues none"
    NOTHING_LAID_OVER = "training starts from one directory, and nothing is laid over it"
    NO_CONFIGURATION_SAVED = "the recipe saves no configuration: the base's is the one in force"
    NO_OWN_TOWER = "no tower is made anew from a directory of its own"
    NOTHING_KEPT = "the recipe trains no module beside its adapter"
    NO_ADAPTER_SAVED = "the recipe does not save its adapter by itself"
    NOTHING_SAVED = "the recipe saves nothing"
    NO_PROCESSOR_SAVED = "the recipe saves no processor"
    NO_TOKENIZER_SAVED = "the recipe saves no tokenizer"
    NO_RESUME_FILE = "the recipe leaves no file to go on from"
    NOTHING_MERGED = "nothing of an earlier stage is merged before this one starts"
    ADAPTER_SAVED = "what is saved is an adapter"
    NO_TOKENS_ADDED = "the recipe adds no tokens"
    NO_IMAGES = "no sample of the recipe holds an image"
    FEATURES_ELSEWHERE = "the model gives features of pictures no token's place: layers attend to them"
    NO_PADDING_THERE = "the model as published cannot be padded on that side"
    NO_DATA_PROMISE = "the intent does not say which samples to expect"
    NO_TEMPLATE_TOKENS = "the conversation template has no tokens of its own"
    NO_BASE = "the intent names no base directory whose weights should have arrived"
    ATTENTION_NOT_ASKED = "the recipe leaves it to the library how attention is computed"
    NO_COMPUTE_PROMISE = "the intent does not say which precision to compute in"
    NO_MASTERS = "the recipe keeps its weights in 16 bits"
    MASTERS_ELSEWHERE = "the optimizer steps masters in fp32, of which the weights in 16 bits are copies"
    NO_SCALER = "the recipe asks for no gradient scaler"
    NO_SCALER_RULE = "the recipe does not say by which rule its trainer turns a gradient scaler on"
    NO_OPTIMIZATION = "the intent does not say at which rates and with which decay"
    NO_SCHEDULE = "the intent does not say by which schedule rates go"
    ONE_RATE = "all that trains is meant to have one and the same rate"
    NO_CLIPPING = "the recipe does not clip gradients"
    NO_AUXILIARY_LOSS = "the model has no experts whose balance the trainer adds to the loss"
    NO_TAIL = "every step has as many micro-batches as the others"
    NO_REPEATED_BATCH = "the steps do not see the same batch again and again"
    NO_THROUGHPUT_BUDGET = "the recipe does not say how fast it must be"
    NO_MEMORY_BUDGET = "the recipe does not say how much memory it may take"
    NO_PATTERNS = "the intent names no parameters by patterns of its user's own"
    NOT_PROBED = "no probe was asked for: the run is a training alone"


SWITCHED_OFF = "switched off by the suite: "
"""What the reason of a check begins with that its user does not want made; the rest is the user's own."""
NOT_HERE = "the installed libraries lack it: "
"""What the reason of every check on a recipe begins with that the installed libraries are too old for; then what they
lack, by name."""


class Severity(str, Enum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One violation. Subclasses name the kind: a fault is caught only by a finding of the expected kind."""

    expected: str
    seen: str
    where: str = ""
    cause: str = ""
    do: str = ""
    severity: Severity = Severity.ERROR

    @property
    def kind(self) -> str:
        return type(self).__name__

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            **{k: v for k, v in asdict(self).items() if v},
            "severity": self.severity.value,
        }


@dataclass(frozen=True)
class Result:
    """The outcome of one check on one recipe; each but `passed` has a reason, which says too whose code took part."""

    recipe: str
    check: str
    status: Status
    reason: str = ""
    findings: tuple[Finding, ...] = field(default=())

    @property
    def switched_off(self) -> str:
        """The user's own reason for not wanting it made, if that is why it was not."""
        off = self.status is Status.NOT_APPLICABLE and self.reason.startswith(SWITCHED_OFF)
        return self.reason.removeprefix(SWITCHED_OFF) if off else ""

    def to_json(self) -> dict[str, Any]:
        record: dict[str, Any] = {"recipe": self.recipe, "check": self.check, "status": self.status.value}
        if self.reason:
            record["reason"] = self.reason
        if self.findings:
            record["findings"] = [finding.to_json() for finding in self.findings]
        return record
