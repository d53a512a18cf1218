"""What a recipe, or a user's intent file, promises. Pure data: nothing here looks at a model."""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from harness.frozen import Frozen
from harness.patterns import checked
from harness.places import NATIVE
from harness.recipe.budgets import Budget
from harness.recipe.choices import Attention, Checkpointing, Logging
from harness.recipe.components import Component
from harness.recipe.costs import Costs
from harness.recipe.deepspeed import Zero
from harness.recipe.fields import Equivalence, LossAverage, SaveKind, ScalerRule
from harness.recipe.values import Regex, RegexPart, valid_regex
from harness.trace.naming import Naming

Patterns = tuple[Regex, ...]
Dtype = Literal["float32", "bfloat16", "float16"]


def _valid_rename(rename: tuple[str, str]) -> tuple[str, str]:
    """Return the rename, or raise ValueError for a replacement that names a group which the pattern has not."""
    try:
        re.sub(*rename, "")
    except (re.error, IndexError) as error:
        raise ValueError(f"{rename[1]!r} replaces nothing of {rename[0]!r}: {error}") from None
    return rename


class AdapterIntent(Frozen):
    """Which modules carry adapters, and with which numbers.

    `components` says where adapters may be; `targets` and `exclude` are what the library was given, so that a
    check can work out from the module tree which modules they meet.
    """

    method: str = "lora"
    components: tuple[Component, ...] = ("language",)
    targets: str | tuple[str, ...] = "all-linear"
    exclude: str | tuple[str, ...] = ()
    rank: PositiveInt | None = None
    alpha: float | None = None
    dropout: float = 0.0
    bias: Literal["none", "all", "lora_only"] = "none"
    rslora: bool = False
    numbers: dict[str, float] = Field(default_factory=dict, description="of methods other than LoRA")
    rank_budget: PositiveInt | None = Field(default=None, description="the average rank that AdaLoRA goes down to")
    init: bool | str = True
    rank_pattern: dict[RegexPart, PositiveInt] = Field(default_factory=dict)
    alpha_pattern: dict[RegexPart, float] = Field(default_factory=dict)
    layers_to_transform: tuple[int, ...] = ()
    layers_pattern: RegexPart | None = None
    continued: bool = Field(default=False, description="it begins as an earlier run has saved it")
    in_place: bool = Field(default=False, description="what trains beside it trains in place: peft keeps no copies")

    @field_validator("targets", "exclude")
    @classmethod
    def _regular_expression(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        return valid_regex(value) if isinstance(value, str) else value


class SaveIntent(Frozen):
    """What the saved directory must hold. Class names are those a fresh process must get back."""

    what: SaveKind = "full"
    at_least_shards: int = 1
    pickled: bool = Field(default=False, description="a whole model's weights are in torch's own format")
    model_class: str | None = None
    processor_class: str | None = None
    tokenizer: bool = Field(default=False, description="the tokenizer is there, with the processor or by itself")
    beside_adapter: str | None = Field(
        default=None, description="the file for what trains in place beside an adapter; none: peft keeps copies of it"
    )
    own_format: bool = Field(
        default=False, description="an adapter is saved as a state dict of its factors, not as peft's"
    )
    native_file: str = Field(default=NATIVE, description="the name of the file of a native state dict")
    half: bool = Field(default=False, description="weights are rounded to fp16 on their way to the file")
    resume: bool = Field(default=False, description="a file to go on from lies beside the weights")
    files: tuple[str, ...] = Field(
        default=(), description="names of files that must be there, whatever plays their role"
    )
    left_out: Patterns = Field(default=(), description="keys that are not meant to be in the file")
    shards: bool = Field(default=False, description="a checkpoint of DeepSpeed's lies there, a shard for each process")
    holds: Patterns = Field(default=(), description="keys that a projector's file holds, whether they trained or not")


class Mechanisms(Frozen):
    """What was asked for beyond plain steps and must be seen to take effect."""

    autocast: Dtype | None = None
    compute: Dtype | None = Field(
        default=None, description="what layers compute in; none: what autocast says, if it does"
    )
    attention: dict[Component, Attention] = Field(
        default_factory=dict, description="how components compute attention; those not named as they please"
    )
    logging: Logging | None = Field(default=None, description="by what loss and rate of each step are logged")
    tf32: bool | None = Field(default=None, description="whether fp32 may be computed in TF32; none: not said")
    loss_scaler: bool | None = Field(default=None, description="none: not said, and judged by what is seen")
    scaler_rule: ScalerRule | None = Field(
        default=None, description="when the trainer turns its gradient scaler on, whatever the precision"
    )
    overflow: bool = Field(default=False, description="a scaler that starts high enough to overflow, on purpose")
    overflow_at: NonNegativeInt | None = Field(default=None, description="the step that overflows, on purpose")
    accumulation: PositiveInt = 1
    accumulation_as_seen: bool = Field(default=False, description="it is not said, but taken from the run")
    epoch: PositiveInt | None = Field(
        default=None, description="micro-batches after which the data begin anew; the last step before may have fewer"
    )
    checkpointing: Checkpointing = False
    clip_norm: float | None = None
    zero: Zero | None = Field(default=None, description="what DeepSpeed's ZeRO was asked for; none: no DeepSpeed")
    auxiliary_loss: bool = Field(
        default=False, description="what keeps experts evenly loaded is added to the loss, by the trainer"
    )
    loss_average: LossAverage = "micro-batch"

    def micro_batches(self, step: int) -> int:
        """How many micro-batches the step has: what is left at the end of the data is a group of its own."""
        if self.epoch is None:
            return self.accumulation
        groups = -(-self.epoch // self.accumulation)
        return min(self.accumulation, self.epoch - step % groups * self.accumulation)

    @property
    def repeats(self) -> bool:
        """Whether every step sees the same micro-batches."""
        return self.epoch is not None and self.epoch <= self.accumulation


class Optimization(Frozen):
    """How parameters are meant to be moved. The rate rises linearly over the warm-up steps, each of which is below
    the full rate and above zero; from the first step after them it is constant, or falls to the floor, a part of the
    rate, at the end, in a line or as half a cosine. A schedule that is `other` is not said step by step: whatever it
    is, it is one for all. `rate_factors` are for keys with the name in them. Biases and norms have no weight decay."""

    learning_rate: PositiveFloat
    component_rates: dict[Component, PositiveFloat] = Field(default_factory=dict)
    rate_factors: dict[RegexPart, PositiveFloat] = Field(default_factory=dict)
    schedule: Literal["constant", "linear", "cosine", "other"] = "constant"
    floor: float = Field(default=0.0, ge=0, lt=1)
    warmup_steps: NonNegativeInt = 0
    warmup_from_zero: bool = Field(default=False, description="the first step of the warm-up is at rate zero")
    weight_decay: float | None = Field(default=0.0, description="none: not said")


class Written(Frozen):
    """A pattern of a user's intent file, in the user's words, and what it was named as."""

    named: Literal["trainable", "frozen", "unreached", "left_out", "holds"]
    pattern: Annotated[str, AfterValidator(checked)]

    def __str__(self) -> str:
        return f"{self.named}: {self.pattern}"


class Intent(Frozen):
    """What should be true of a run.

    `trains` holds regular expressions on canonical keys: a parameter of the model itself trains exactly if one
    matches from the start. `out_of_reach` marks parameters that train by declaration and yet get no gradient, `fixed`
    those that never train, in whatever component they are; `resized` those that grow with added tokens; `ties` names
    the keys that share one tensor.
    """

    renames: tuple[Annotated[tuple[Regex, str], AfterValidator(_valid_rename)], ...] = ()
    components: tuple[tuple[Regex, str], ...] = ()
    trains: Patterns = ()
    out_of_reach: Patterns = ()
    fixed: Patterns = ()
    resized: Patterns = ()
    ties: tuple[tuple[str, ...], ...] = ()
    adapter: AdapterIntent | None = None
    weights: Dtype = "float32"
    steps: int | None = None
    first_step: NonNegativeInt = Field(default=0, description="how many steps were made before, by another process")
    effective_before: NonNegativeInt = Field(default=0, description="how many of those were not skipped")
    mechanisms: Mechanisms = Mechanisms()
    optimization: Optimization | None = Field(
        default=None, description="rates and decay that were asked for; none where the intent does not say"
    )
    save: SaveIntent = SaveIntent(what="nothing")
    samples_known: bool = Field(default=False, description="the run announces which samples it will see, in order")
    has_images: bool = True
    features_in_place: bool = Field(
        default=True, description="features of pictures stand in the places of tokens of their own"
    )
    max_length: PositiveInt | None = Field(
        default=None, description="tokens of a sample, those of its pictures included"
    )
    padding: tuple[Literal["left", "right"], ...] = Field(
        default=("left", "right"), description="the sides on which padding must not matter"
    )
    single_tokens: tuple[str, ...] = Field(
        default=(), description="what the conversation template needs as one token each"
    )
    probed: bool = Field(default=False, description="extra passes over the trained model are part of the run")
    probes: tuple[str, ...] | None = Field(default=None, description="which those are; none: all that are called for")
    processes: PositiveInt = Field(default=1, description="how many share each step, with equal models")
    agrees_with: tuple[Equivalence, ...] = Field(
        default=(), description="other ways of making the same run that must lead to the same weights"
    )
    budget: Budget | None = Field(default=None, description="what it may cost; none: not said")
    costs: Costs | None = Field(default=None, description="what a traced command may cost; none: not said")
    base: bool = Field(
        default=False, description="the trace holds the inventory of the directory training started from"
    )
    own_towers: tuple[str, ...] | None = Field(
        default=None, description="settings that name directories towers are made anew from; none: not said"
    )
    merged: SaveKind | None = Field(
        default=None, description="what an earlier stage left, merged into a whole model before this one starts"
    )
    merged_weights: Dtype = Field(default="float32", description="what that earlier stage held its weights in")
    parts: tuple[str, ...] | None = Field(
        default=None,
        description="kinds of files that were laid over the base; none: not said, and judged by what is seen",
    )
    written: tuple[Written, ...] = Field(default=(), description="the patterns of the file that it comes from")

    @cached_property
    def naming(self) -> Naming:
        """The rules that give a parameter its canonical key and its component."""
        return Naming(self.renames, self.components)

    @property
    def step_numbers(self) -> range:
        """The numbers of the steps that the run takes, where the intent says how many."""
        return range(self.first_step, self.first_step + (self.steps or 0))

    def names_as_trained(self, key: str) -> bool:
        """Whether the parameter of the model itself under this canonical key is meant to train."""
        return _matches(self.trains, key)

    def is_left_out(self, key: str) -> bool:
        """Whether the parameter under this canonical key is meant not to be saved: it comes from the base."""
        return _matches(self.save.left_out, key)

    def is_held(self, key: str) -> bool:
        """Whether a projector's file is meant to hold the parameter under this canonical key."""
        return _matches(self.save.holds, key)

    def is_fixed(self, key: str) -> bool:
        """Whether the parameter under this canonical key is meant never to train."""
        return _matches(self.fixed, key)

    def is_resized(self, key: str) -> bool:
        """Whether the parameter under this canonical key has grown with added tokens."""
        return _matches(self.resized, key)

    def reaches(self, key: str) -> bool:
        """Whether a gradient can arrive at the parameter under this canonical key."""
        return not _matches(self.out_of_reach, key)


def _matches(patterns: Patterns, key: str) -> bool:
    return any(_compiled(pattern).match(key) for pattern in patterns)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
