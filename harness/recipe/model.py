"""One fine-tuning configuration, frozen."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, PositiveInt, Tag, ValidationInfo, model_validator

from harness.frozen import Frozen
from harness.recipe.budgets import Budget
from harness.recipe.choices import Attention, Checkpointing, Device, Logging
from harness.recipe.deepspeed import DeepSpeed
from harness.recipe.fields import (
    Adapter,
    AddedTokens,
    Composed,
    Data,
    EarlierRecipe,
    Equivalence,
    Limits,
    LossScaler,
    Optimizer,
    Save,
    SaveKind,
    Scaler,
    Tunes,
)
from harness.recipe.processes import Launch, Launched
from harness.recipe.rules import broken_rule
from harness.recipe.values import OneOrMore

# As a validation's context: fields are looked at one by one, rules by whoever asks for that.
LATER: dict[str, str] = {}

Precision = Literal["fp32", "bf16", "fp16", "pure-bf16", "pure-fp16"]


def _kind_of_start(value: object) -> str:
    """Which of its three forms `start_from` is written in."""
    if isinstance(value, EarlierRecipe) or (isinstance(value, dict) and "recipe" in value):
        return "recipe"
    return "parts" if isinstance(value, (dict, Composed)) else "path"


StartFrom = Annotated[
    Annotated[str, Tag("path")] | Annotated[EarlierRecipe, Tag("recipe")] | Annotated[Composed, Tag("parts")],
    Discriminator(_kind_of_start),
]


def _precision_word(value: object) -> object:
    return str(value) if isinstance(value, (int, float)) else value


class Recipe(Frozen):
    """What to fine-tune and how.

    `bf16` and `fp16` are autocast over fp32 weights; `pure-bf16` and `pure-fp16` keep the weights themselves
    in 16 bits, so there are no fp32 masters and nothing for a gradient scaler to unscale into.
    """

    family: str
    size: Literal["full", "tiny"] = "tiny"
    trust_remote_code: bool = Field(default=False, description="the family's directories hold code that will run")
    tune: Tunes = ()
    lora: Adapter | None = Field(default=None, description="LoRA; short for adapter with method lora")
    adapter: Adapter | None = Field(default=None, description="any other PEFT method, by name")
    precision: Annotated[Precision, BeforeValidator(_precision_word)] = "fp32"
    tf32: bool = False
    attention: Attention | None = Field(
        default=None, description="how attention is computed; none: what the library chooses, which the trace says"
    )
    loss_scaler: Scaler = LossScaler()
    engine: str = "torch"
    deepspeed: DeepSpeed = Field(default=DeepSpeed(), description="what engine deepspeed is told")
    device: Device = Field(default="cpu", description="where the model trains; cuda: on the first GPU")
    processes: PositiveInt = Field(default=1, description="each has its share of a step's micro-batches")
    launch: Launched = Launch()
    checkpointing: Checkpointing = Field(
        default=False, description="layers are computed again in the backward pass; reentrant: as torch did it first"
    )
    optimizer: Optimizer = Optimizer()
    data: Data = Data()
    save: Save = Save()
    add_tokens: AddedTokens = Field(default=(), description="new tokens, or how many: the embeddings grow with them")
    start_from: StartFrom = Field(
        default="fresh",
        description="fresh, the path of a saved directory, {recipe: NAME} of an earlier stage, or a base and its parts",
    )
    created: bool = Field(
        default=False,
        description="the model is made from its configuration and given the base's weights, instead of being loaded",
    )
    agrees_with: Annotated[tuple[Equivalence, ...], OneOrMore()] = Field(
        default=(), description="other ways of making the same run, each made too, that must lead to the same weights"
    )
    logging: Logging | None = Field(
        default=None,
        description="where loss and rate of each step are logged: a file of the loop's own, or a library's",
    )
    steps: PositiveInt = 4
    interrupted_after: PositiveInt | None = Field(
        default=None,
        description="steps after which the process ends; another goes on from the checkpoint that it leaves",
    )
    seed: int = 0
    limits: Limits = Limits()
    budget: Budget | None = Field(
        default=None, description="how fast it must be and how much memory it may take; a timed run is made beside it"
    )

    @model_validator(mode="after")
    def _possible(self, info: ValidationInfo) -> Recipe:
        if info.context is not LATER and (broken := broken_rule(self)):
            raise ValueError(f"{broken.what}; {broken.do}")
        return self

    @property
    def peft(self) -> Adapter | None:
        """The adapter of this recipe, under whichever of the two names it was written."""
        return self.lora or self.adapter

    @property
    def loaders(self) -> tuple[str, ...]:
        """Functions of the user's own by which saved directories are loaded."""
        return tuple(name for name in (self.save.loader, self.save.processor_loader) if name)

    @property
    def own_code(self) -> tuple[str, ...]:
        """What of it may be code of somebody else's, by name."""
        return tuple(name for name in (self.family, self.engine, *self.loaders) if name)

    @property
    def samples_seen(self) -> int:
        """How many different places of the data the run comes to, all processes together."""
        needed = self.steps * self.optimizer.accumulation * self.data.batch_size * self.processes
        return min(needed, self.data.samples or needed)

    @property
    def epoch(self) -> int | None:
        """The micro-batches of data that are limited, of one process; the last may be smaller where there is one."""
        return -(-self.data.samples // (self.data.batch_size * self.processes)) if self.data.samples else None

    @property
    def scaler_enabled(self) -> bool:
        """Whether a gradient scaler is asked for (`auto`: by the rule, or for fp16 autocast over fp32 weights).

        Under DeepSpeed weights in fp16 have masters in fp32, too.
        """
        rule = self.loss_scaler.rule or "fp16"
        if self.loss_scaler.enabled == "auto" and self.engine == "deepspeed" and self.precision == "pure-fp16":
            return True
        if self.loss_scaler.enabled == "auto":
            return rule == "always" or self.precision in {"fp16": ["fp16"], "fp16-and-bf16": ["fp16", "bf16"]}.get(
                rule, []
            )
        return self.loss_scaler.enabled == "on"

    @property
    def saves(self) -> SaveKind:
        """What is saved once `auto` is resolved."""
        if self.save.what == "auto":
            return "adapter" if self.peft else "full"
        return self.save.what

    @property
    def saves_processor(self) -> bool:
        """Whether the saved directory should give back a processor."""
        return self.save.processor or self.save.files_from_base
