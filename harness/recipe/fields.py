"""The parts of a recipe: what trains, adapters, optimisation, data, saving."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, field_validator

from harness.frozen import Frozen
from harness.recipe.components import UNIONS, Component, expand

Names = tuple[str, ...]
SampleKind = Literal["image", "text", "blank", "several"]


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _as_scaler(value: Any) -> Any:
    """YAML reads a bare `on` or `off` as a boolean; here they are words."""
    if isinstance(value, bool):
        return {"enabled": "on" if value else "off"}
    return {"enabled": value} if isinstance(value, str) else value


NameList = Annotated[Names, BeforeValidator(_as_tuple)]


class Tune(Frozen):
    """A component that trains in full, or only its last or its named layers."""

    component: Component
    last: PositiveInt | None = None
    named: NameList = ()
    if_present: bool = Field(default=False, description="named through a union: a family may lack the component")

    @field_validator("named")
    @classmethod
    def _regular_expressions(cls, value: Names) -> Names:
        return tuple(valid_regex(pattern) for pattern in value)


def tunes_from(value: Any) -> Any:
    """Read `[vision, connector]`, `llm`, or `{connector: all, language: {last: 1}}` as a tuple of Tune."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, dict):
        value = [{name: extent} for name, extent in value.items()]
    entries: list[Any] = []
    for item in value or ():
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
    layers = {} if extent in ("all", None, True) else extent
    if not isinstance(layers, dict):
        raise ValueError(f"{name}: {extent!r} is no extent; write all, or {{last: N}} or {{named: [...]}}")
    return layers


Tunes = Annotated[tuple[Tune, ...], BeforeValidator(tunes_from)]


class Adapter(Frozen):
    """A PEFT adapter. For `lora`, the options of peft's LoraConfig under their usual names.

    `components` are those that are meant to carry it; `targets` is what peft is given. The two differ
    exactly when a run goes wrong unnoticed: `q_proj` also names a layer of the vision tower.
    """

    method: str = "lora"
    components: Annotated[tuple[Component, ...], BeforeValidator(_as_tuple)] = ("language",)
    targets: str | Names = Field(default="all-linear", description="a regular expression, a list, or all-linear")
    exclude: str | Names = ()
    rank: PositiveInt = 8
    alpha: PositiveFloat = 16
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    bias: Literal["none", "all", "lora_only"] = "none"
    modules_to_save: NameList = ()
    layers_to_transform: tuple[int, ...] = ()
    layers_pattern: str | None = None
    rank_pattern: dict[str, int] = Field(default_factory=dict)
    alpha_pattern: dict[str, float] = Field(default_factory=dict)
    dora: bool = False
    rslora: bool = False
    init: bool | str = True
    options: dict[str, Any] = Field(default_factory=dict, description="options of another method, under peft's names")

    @field_validator("targets", "exclude")
    @classmethod
    def _regular_expression(cls, value: str | Names) -> str | Names:
        if isinstance(value, str) and value != "all-linear":
            valid_regex(value)
        return value


class LossScaler(Frozen):
    """The gradient scaler. `auto` is on exactly for fp16 autocast over fp32 weights."""

    enabled: Literal["auto", "on", "off"] = "auto"
    init_scale: PositiveFloat | None = None
    growth_interval: PositiveInt = 2000
    backoff_factor: Annotated[float, Field(gt=0, lt=1)] | None = None


Scaler = Annotated[LossScaler, BeforeValidator(_as_scaler)]


class Optimizer(Frozen):
    """AdamW with one rate, rates per component, and a schedule."""

    learning_rate: PositiveFloat = 1e-3
    component_rates: dict[Component, PositiveFloat] = Field(default_factory=dict)
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    eps: PositiveFloat = Field(default=1e-8, description="AdamW's; below 6e-8 it is zero in pure fp16")
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    clip_norm: PositiveFloat | None = 1.0
    accumulation: PositiveInt = 1


class Data(Frozen):
    """Which samples a run sees: a file in LLaVA's or MiniCPM-V's JSON format, and a mix of kinds."""

    source: str = Field(default="shipped", description="shipped, or the path of a JSON file of conversations")
    mix: tuple[SampleKind, ...] = ("image", "text", "blank", "several")
    batch_size: PositiveInt = 2
    max_length: PositiveInt = 2048


class Save(Frozen):
    """What the run leaves behind. `auto` is the adapter where there is one, else the whole model."""

    what: Literal["auto", "full", "adapter", "nothing"] = "auto"
    max_shard_size: str = Field(default="auto", pattern=r"^(auto|\d+(\.\d+)?[KMG]i?B)$")
    processor: bool = True


class Limits(Frozen):
    """When a run counts as hung, and how much memory it may take beyond the libraries' own."""

    seconds: PositiveFloat = 600
    memory_gb: PositiveFloat | None = None


def valid_regex(pattern: str) -> str:
    """Return the pattern, or raise ValueError naming the place where it breaks."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    return pattern
