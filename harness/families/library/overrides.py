"""What some types need beyond the rules, read from the one table that has it, with its reasons."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from harness import stack
from harness.frozen import Frozen
from harness.recipe.yaml_file import read_yaml

TABLE = Path(__file__).with_name("overrides.yaml")


class Override(Frozen):
    """What one type needs.

    `base` are arguments of the configuration class before it is made small, `config` values set afterwards by dotted
    name. `unreached` are parts of parameters' names that no gradient reaches, with why, {last language} the number of
    that component's last layer; `residue` the same of tensors most of whose gradient is zero but for rounding;
    `centres` numbers around which vectors lie.
    """

    why: str = ""
    refused: str = Field(default="", description="why the type is not tried at all")
    base: dict[str, Any] = Field(default_factory=dict)
    config: dict[str, Any] = Field(default_factory=dict)
    ids: dict[str, str] = Field(default_factory=dict)
    processor_class: str | None = None
    image_processor_class: str | None = None
    video_processor_class: str | None = None
    feature_extractor_class: str | None = None
    processor: dict[str, Any] = Field(default_factory=dict)
    image_processor: dict[str, Any] = Field(default_factory=dict)
    video_processor: dict[str, Any] = Field(default_factory=dict)
    call: dict[str, Any] = Field(default_factory=dict, description="what each call of the processor is told")
    tokens: tuple[str, ...] = ()
    named: dict[str, str | None] = Field(default_factory=dict)
    picture: str | None = None
    elsewhere: str = Field(default="", description="where features of pictures go, if in no token's place")
    pictures_only: str = Field(default="", description="why the type takes no text without a picture")
    needs: tuple[str, ...] = Field(default=(), description="libraries that its code imports besides")
    shown: int = Field(default=1, description="how often a picture is shown where the model sees films of so many")
    nested: bool = Field(default=False, description="the processor takes pictures in a list for each sample")
    one_picture: str = Field(default="", description="why a sample has one picture at most")
    unreached: dict[str, str] = Field(default_factory=dict)
    residue: dict[str, str] = Field(default_factory=dict)
    not_adapted: dict[str, str] = Field(
        default_factory=dict, description="parts of paths that LoRA leaves out, and why"
    )
    centres: dict[str, float] = Field(default_factory=dict)
    padding: tuple[Literal["left", "right"], ...] = ("left", "right")
    older: dict[str, Override] = Field(
        default_factory=dict, description="by release of transformers, what is needed besides before that one"
    )

    def under(self, installed: tuple[int, ...]) -> Override:
        """What is needed under a release: with what older ones need besides, mappings one into the other."""
        found = self
        for until, more in self.older.items():
            if installed < tuple(map(int, until.split("."))):
                found = found.model_copy(update={name: found._with(name, more) for name in more.model_fields_set})
        return found

    def _with(self, name: str, more: Override) -> Any:
        before, besides = getattr(self, name), getattr(more, name)
        return {**before, **besides} if isinstance(before, dict) else besides


NOTHING = Override()


@cache
def table() -> dict[str, Override]:
    """The table, by type."""
    return {str(name): Override.model_validate(entry) for name, entry in (read_yaml(TABLE, "table") or {}).items()}


def override_of(model_type: str) -> Override:
    found = table().get(model_type, NOTHING)
    return found.under(stack.release("transformers")) if found.older else found
