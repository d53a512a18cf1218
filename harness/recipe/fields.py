"""The parts of a recipe: what trains, adapters, optimisation, data, saving."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    WithJsonSchema,
    field_validator,
)
from pydantic.json_schema import SkipJsonSchema

from harness.frozen import Frozen
from harness.recipe.components import UNIONS, Component, expand
from harness.recipe.values import Names, OneOrMore, RegexPart, valid_regex

SampleKind = Literal["image", "text", "blank", "several"]
Fraction = Annotated[float, Field(ge=0, lt=1)]


def _as_scaler(value: Any) -> Any:
    """A word or a boolean is the scaler's `enabled`."""
    return {"enabled": value} if isinstance(value, (str, bool)) else value


def _as_word(value: Any) -> Any:
    """YAML reads a bare `on` or `off` as a boolean; here they are words."""
    return ("on" if value else "off") if isinstance(value, bool) else value


class Tune(Frozen):
    """A component that trains in full, or only its last or its named layers."""

    component: Component
    last: PositiveInt | None = None
    named: Annotated[tuple[RegexPart, ...], OneOrMore()] = ()
    if_present: bool = Field(default=False, description="named through a union: a family may lack the component")

    @field_validator("named")
    @classmethod
    def _one_expression(cls, value: Names) -> Names:
        valid_regex("|".join(value))
        return value


def tunes_from(value: Any) -> Any:
    """Read `[vision, connector]`, `llm`, or `{connector: all, language: {last: 1}}` as a tuple of Tune."""
    if value is None:
        return ()
    if isinstance(value, (str, dict)):
        value = [value]
    if not isinstance(value, (list, tuple)):
        raise ValueError("no component is named; write a component, a list of them, or {component: all}")
    entries: list[Any] = []
    for item in value:
        if isinstance(item, str):
            entries.extend(_members(item, {}))
        elif isinstance(item, dict) and "component" not in item:
            for name, extent in item.items():
                entries.extend(_members(name, _layers(name, extent)))
        else:
            entries.append(item)
    return tuple(entries)


def _members(name: str, layers: dict[str, Any]) -> list[dict[str, Any]]:
    """One entry per component of the name; those that a union brings along may be absent from a family."""
    union = {"if_present": True} if name in UNIONS else {}
    return [{"component": one, **layers, **union} for one in expand(name)]


def _layers(name: str, extent: Any) -> dict[str, Any]:
    """The settings of one component; only `all` and nothing mean the whole of it."""
    if extent is None or extent is True or extent == "all":
        return {}
    if not isinstance(extent, dict):
        raise ValueError(f"{name}: {extent!r} is no extent; write all, or {{last: N}} or {{named: [...]}}")
    if "component" in extent or extent.get("named") == []:
        raise ValueError(f"{name}: {extent!r} names no part of it; write all, or {{last: N}} or {{named: [...]}}")
    return extent


Tunes = Annotated[tuple[Tune, ...], BeforeValidator(tunes_from)]


# These put what they train before the text, and sit on no layer of the model.
PROMPT_METHODS = ("prompt_tuning", "p_tuning", "prefix_tuning")


class Adapter(Frozen):
    """A PEFT adapter. For `lora`, the options of peft's LoraConfig under their usual names.

    `components` are those that are meant to carry it; `targets` is what peft is given. The two differ
    exactly when a run goes wrong unnoticed: `q_proj` also names a layer of the vision tower.
    """

    method: Annotated[str, StringConstraints(to_lower=True)] = "lora"
    components: Annotated[tuple[Component, ...], Field(min_length=1), OneOrMore()] = ("language",)
    targets: str | Names = Field(default="all-linear", description="a regular expression, a list, or all-linear")
    exclude: str | Names = ()
    rank: PositiveInt = 8
    alpha: PositiveFloat = 16
    dropout: Fraction = 0.0
    bias: Literal["none", "all", "lora_only"] = "none"
    modules_to_save: Annotated[tuple[RegexPart, ...], OneOrMore()] = Field(
        default=(), description="names; to peft each is a part of a regular expression"
    )
    layers_to_transform: tuple[NonNegativeInt, ...] = ()
    layers_pattern: RegexPart | None = None
    rank_pattern: dict[RegexPart, PositiveInt] = Field(default_factory=dict)
    alpha_pattern: dict[RegexPart, PositiveFloat] = Field(default_factory=dict)
    dora: bool = False
    rslora: bool = False
    lora_bias: bool = Field(default=False, description="its second factor has a bias: for layers that have one")
    init: bool | str = True
    options: dict[str, Any] = Field(default_factory=dict, description="options of another method, under peft's names")

    @property
    def is_prompt(self) -> bool:
        return self.method in PROMPT_METHODS

    @field_validator("targets", "exclude")
    @classmethod
    def _regular_expression(cls, value: str | Names) -> str | Names:
        return valid_regex(value) if isinstance(value, str) else value

    @field_validator("targets")
    @classmethod
    def _something(cls, value: str | Names) -> str | Names:
        if not value or not all(value):
            raise ValueError("a target is empty; name modules, or write all-linear")
        return value


ScalerRule = Literal["fp16", "fp16-and-bf16", "always", "never"]


class LossScaler(Frozen):
    """The gradient scaler. `auto` is on exactly for fp16 autocast over fp32 weights.

    `rule` is the one that the recipe's trainer goes by, whatever the precision; it is then held at each of them.
    """

    rule: ScalerRule | None = None

    enabled: Annotated[
        Literal["auto", "on", "off"],
        BeforeValidator(_as_word),
        WithJsonSchema({"enum": ["auto", "on", "off", True, False]}),
    ] = "auto"
    init_scale: PositiveFloat | None = None
    growth_interval: PositiveInt = 2000
    backoff_factor: Annotated[float, Field(gt=0, lt=1)] | None = None
    overflow_at: NonNegativeInt | None = Field(default=None, description="the step at which the scale is grown too far")


Scaler = Annotated[LossScaler, BeforeValidator(_as_scaler)]


LossAverage = Literal["micro-batch", "token"]
Equivalence = Literal[
    "one-batch", "no-checkpointing", "fp32", "eager", "one-process", "eager-attention", "torch", "uninterrupted"
]


class Optimizer(Frozen):
    """AdamW with one rate, rates per component or factors by name, and a schedule."""

    learning_rate: PositiveFloat = 1e-3
    component_rates: dict[Component, PositiveFloat] = Field(default_factory=dict)
    rate_factors: dict[RegexPart, PositiveFloat] = Field(
        default_factory=dict, description="parts of names, and how many times the rate their parameters have"
    )
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    eps: PositiveFloat = Field(default=1e-8, description="AdamW's; below 6e-8 it is zero in pure fp16")
    fused: bool = Field(default=False, description="one kernel for all parameters, which skips an overflow by itself")
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    floor: Fraction = Field(default=0.0, description="the part of the rate that the schedule falls to")
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    clip_norm: PositiveFloat | None = 1.0
    accumulation: PositiveInt = 1
    loss_average: LossAverage = Field(
        default="micro-batch", description="what a step's loss is the mean of: its micro-batches, or all their tokens"
    )


class Data(Frozen):
    """Which samples a run sees: a file in LLaVA's or MiniCPM-V's JSON format, and a mix of kinds."""

    source: str = Field(default="shipped", description="shipped, or the path of a JSON file of conversations")
    mix: Annotated[tuple[SampleKind, ...], Field(min_length=1)] = ("image", "text", "blank", "several")
    batch_size: PositiveInt = 2
    samples: PositiveInt | None = Field(
        default=None, description="how many there are before they begin anew; without it, as many as the steps need"
    )
    max_length: PositiveInt = 2048
    lazy: bool = Field(
        default=False, description="samples are encoded as a step comes to them, not all before the first"
    )
    template: str | None = Field(default=None, description="the conversation template, by name; none: the family's own")


OwnFunction = Annotated[str | None, Field(pattern=r"^[\w.-]+(:[\w.]+)?$")]
SaveKind = Literal["full", "partial", "projector", "adapter", "native", "nothing"]
BesideAdapter = Literal["non_lora_trainables.bin", "vpm_resampler_embedtokens.pt"]


class Save(Frozen):
    """What the run leaves behind. `auto` is the adapter where there is one, else the whole model.

    `partial` is what was trained and nothing else, to be laid over the base; `projector` the connector's file of a
    first stage, with the configuration; `native` a state dict written by torch.save. Trainers differ in what they write
    beside weights: hence `processor`, `tokenizer`, `files_from_base`.
    """

    what: Literal["auto", SaveKind] = "auto"
    by: Literal["loop", "trainer"] = Field(default="loop", description="trainer: its own save_model, its arguments too")
    format: Literal["safetensors", "bin"] = Field(
        default="safetensors", description="of a whole model's weights: bin is what torch.save writes, as of old"
    )
    max_shard_size: str = Field(default="auto", pattern=r"^(auto|\d+(\.\d+)?[KMG]i?B)$")
    beside_adapter: BesideAdapter | None = Field(
        default=None, description="the file for what trains in place beside an adapter; without it, peft keeps copies"
    )
    processor: bool = True
    tokenizer: bool = Field(default=False, description="the tokenizer by itself, as trainers write it")
    name: Annotated[str, Field(pattern=r"^[\w-]+$")] | None = Field(
        default=None, description="of a native state dict: the file is this, the family's own ending and .pth"
    )
    half: bool = Field(default=False, description="a native state dict is written in fp16, whatever was trained in")
    resume: bool = Field(
        default=False, description="also the file that a native loop goes on from: weights in full, optimizer, step"
    )
    files: Annotated[Names, OneOrMore()] = Field(
        default=(), description="names of files that must be there, for who reads them: other releases, servers"
    )
    loader: OwnFunction = Field(
        default=None, description="gives the model of a directory that Auto classes cannot load"
    )
    processor_loader: OwnFunction = Field(default=None, description="the same for its processor")
    files_from_base: bool = Field(
        default=False, description="what the base directory has and the save lacks is copied, weights excepted"
    )


class EarlierRecipe(Frozen):
    """Another recipe of the same suite whose saved directory is where training starts: a stage before this one.

    Its adapter may be merged into its base first, and what comes of it is a whole model like any other.
    """

    recipe: str
    merge: Literal["adapter", "native"] | None = Field(
        default=None,
        description="what the recipe has saved is made one with its base before training starts: an adapter is merged, "
        "a native state dict exported",
    )
    settings: SkipJsonSchema[Any] = Field(default=None, description="the earlier recipe itself, found when read")


Source = str | EarlierRecipe


OWN_TOWER = "own"


class Composed(Frozen):
    """A base and the files of earlier stages laid over it, each by its directory or of another recipe of the suite.

    Towers are made anew from directories of their own, `own` being those that the family's base was put together from.
    """

    base: Source = Field(default="fresh", description="what the files are laid over: fresh, a directory, or a recipe's")
    projector: Source | None = Field(default=None, description="a connector's file, mm_projector.bin")
    trainables: Source | None = Field(
        default=None, description="what trained beside an adapter, such as non_lora_trainables.bin"
    )
    adapter: Source | None = Field(default=None, description="an adapter, which this recipe's own adapter continues")
    vision_tower: str | None = Field(default=None, description="where the vision tower is made anew from")
    vision_tower_aux: str | None = Field(default=None, description="the same for a second tower")


def _as_names(value: Any) -> Any:
    """A number of tokens is so many tokens with names of their own."""
    if isinstance(value, int) and not isinstance(value, bool):
        return tuple(f"<|added_{number}|>" for number in range(value))
    return value


AddedTokens = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(_as_names),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "array", "items": {"type": "string"}}]}),
]


class Limits(Frozen):
    """When a run counts as hung, and how much memory it may take beyond the libraries' own."""

    seconds: PositiveFloat = 600
    memory_gb: PositiveFloat | None = None
