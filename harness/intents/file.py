"""What a user's intent file says: a few lines, in the user's own words. What it leaves out is not asked for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from harness.frozen import Frozen
from harness.patterns import checked
from harness.places import NATIVE
from harness.recipe.choices import Attention, Checkpointing
from harness.recipe.components import Component
from harness.recipe.costs import Costs
from harness.recipe.deepspeed import Zero
from harness.recipe.fields import Equivalence, LossAverage, OwnFunction, SaveKind, ScalerRule
from harness.recipe.values import Names, OneOrMore, RegexPart, valid_regex

NO_ADAPTERS = "none"
Pattern = Annotated[str, AfterValidator(checked)]
Patterns = Annotated[tuple[Pattern, ...], OneOrMore()]
Precision = Literal["fp32", "bf16", "fp16", "pure-bf16", "pure-fp16"]
Targets = Annotated[str | Names, AfterValidator(lambda value: valid_regex(value) if isinstance(value, str) else value)]


class Adapters(Frozen):
    """Which modules carry adapters: the targets as peft was given them, and the components where they may be."""

    method: str = "lora"
    components: Annotated[tuple[Component, ...], OneOrMore()] | None = Field(
        default=None, description="components that carry adapters; left out: any that is not frozen"
    )
    targets: Targets | None = Field(
        default=None, description="a regular expression, a list of names, or all-linear; left out: as the run has them"
    )
    exclude: Targets = ()
    rank: PositiveInt | None = None
    alpha: float | None = None
    dropout: float | None = None
    bias: Literal["none", "all", "lora_only"] = "none"
    rslora: bool = False
    rank_pattern: dict[RegexPart, PositiveInt] = Field(default_factory=dict)
    alpha_pattern: dict[RegexPart, float] = Field(default_factory=dict)
    layers_to_transform: tuple[int, ...] = ()
    modules_to_save: Annotated[Names, OneOrMore()] = Field(
        default=(), description="modules that are kept whole beside the adapter, and train"
    )


class Optimizer(Frozen):
    """Rates and decay; a decay that is left out is not judged."""

    learning_rate: PositiveFloat
    component_rates: dict[Component, PositiveFloat] = Field(default_factory=dict)
    rate_factors: dict[RegexPart, PositiveFloat] = Field(default_factory=dict)
    schedule: Literal["constant", "linear", "cosine", "other"] = "constant"
    floor: Annotated[float, Field(ge=0, lt=1)] = 0.0
    warmup_steps: NonNegativeInt = 0
    warmup_from_zero: bool = Field(default=False, description="the first step's rate is zero, as transformers has it")
    weight_decay: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _shape_said_or_not(self) -> Optimizer:
        if self.schedule == "other" and self.model_fields_set & {"floor", "warmup_steps", "warmup_from_zero"}:
            raise ValueError("schedule other: floor and warm-up are of a schedule that is said; leave them out")
        return self


def _as_what(value: object) -> object:
    """`save: full` is short for `save: {what: full}`."""
    return {"what": value} if isinstance(value, str) else value


class Saved(Frozen):
    """What must be saved. Class names are those that a fresh process must get back."""

    what: SaveKind = "full"
    model: str | None = Field(default=None, description="the class of the model that comes back")
    processor: str | None = Field(default=None, description="the class of the processor that comes back")
    tokenizer: bool | None = None
    beside_adapter: str | None = Field(default=None, description="the file for what trains in place beside an adapter")
    native_file: str = Field(default=NATIVE, description="the name of a native state dict's file")
    half: bool = Field(default=False, description="weights are rounded to fp16 on their way to the file")
    pickled: bool = Field(default=False, description="weights are in torch's own format")
    resume: bool = Field(default=False, description="a file to go on from lies beside the weights")
    shards: bool = Field(default=False, description="a DeepSpeed checkpoint lies there, a shard for each process")
    files: Annotated[Names, OneOrMore()] = Field(
        default=(), description="names of files that must be there, for who reads them"
    )
    left_out: Patterns = Field(default=(), description="what is meant not to be in the file")
    holds: Patterns = Field(default=(), description="what a projector's file holds, whether it trained or not")
    loader: OwnFunction = Field(
        default=None, description="module:function that gives the model of a directory Auto classes cannot load"
    )


def _as_method(value: object) -> object:
    """`adapters: lora` is short for `adapters: {method: lora}`; `none` and `false` say that there is none."""
    if value is False:
        return {"method": NO_ADAPTERS}
    return {"method": value} if isinstance(value, str) else value


class IntentFile(Frozen):
    """What a run was meant to do.

    What `trainable` does not name is frozen. Where only `frozen` is given, the rest trains; where neither is, what the
    run itself says is taken at its word, and judged by that.
    """

    description: str | None = None
    family: str | None = Field(default=None, description="whose names it has; left out: recognised, or by its modules")
    components: dict[Component, Patterns] | None = Field(
        default=None, description="which parameters are which component, instead of a family's"
    )
    trainable: Patterns | None = Field(default=None, description="components, names, globs or /regular expressions/")
    frozen: Patterns | None = None
    unreached: Patterns = Field(default=(), description="what trains by declaration, and no gradient reaches")
    adapters: Annotated[Adapters | None, BeforeValidator(_as_method)] = None
    precision: Precision | None = Field(
        default=None, description="bf16 and fp16 are autocast over fp32 weights, pure-bf16 and pure-fp16 the weights'"
    )
    tf32: bool | None = None
    attention: Attention | None = None
    loss_scaler: bool | None = None
    scaler_rule: ScalerRule | None = None
    accumulation: PositiveInt | None = Field(default=None, description="micro-batches of a step")
    loss_average: LossAverage = "micro-batch"
    clip_norm: PositiveFloat | None = None
    checkpointing: Checkpointing | None = None
    optimizer: Optimizer | None = None
    zero: Zero | None = Field(default=None, description="what DeepSpeed's ZeRO was asked for")
    processes: PositiveInt | None = None
    steps: PositiveInt | None = None
    images: bool | None = Field(default=None, description="whether samples hold pictures")
    save: Annotated[Saved | None, BeforeValidator(_as_what)] = None
    trust_remote_code: bool = Field(default=False, description="code in a saved directory may run to load it again")
    budget: Costs | None = Field(default=None, description="what a traced command may cost")
    agrees_with: Annotated[tuple[Equivalence, ...], OneOrMore()] = Field(
        default=(), description="other ways of making the run that must lead to the same weights: harness check --with"
    )

    @model_validator(mode="after")
    def _agreeing(self) -> IntentFile:
        for pattern in self.trainable or ():
            if pattern in (self.frozen or ()):
                raise ValueError(f"{pattern!r} is named trainable and frozen; name it once")
        if self.family and self.components:
            raise ValueError("family and components both say which parameter is which; leave one out")
        return self

    @property
    def adapter(self) -> Adapters | None:
        """The adapters that it asks for, if it does."""
        return None if self.adapters is None or self.adapters.method == NO_ADAPTERS else self.adapters
