"""Which tensors a directory should hold: those of its base, or those that its own configuration promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.checkpoint.inspecting.case import Case, NotJudged
from harness.checkpoint.inspecting.directory import Directory, canonical, is_head


@dataclass(frozen=True)
class Promise:
    """Tensors by canonical name, and who promises them."""

    source: str
    shapes: Mapping[str, tuple[int, ...]]
    """By the name that a finding shows."""
    optional: frozenset[str] = frozenset()
    """Those that share a tensor with another, or that are computed."""
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names.update({canonical(key): key for key in self.shapes})

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape under a canonical name."""
        key = self.names.get(name)
        return None if key is None else self.shapes[key]

    def is_optional(self, key: str) -> bool:
        return key in self.optional


def promise_of(case: Case) -> Promise:
    """The base's tensors; without a base those of the class that the configuration names. Raises NotJudged."""
    if case.base is not None:
        return _of_base(case, case.base)
    return _of_configuration(case)


def _of_base(case: Case, base: Directory) -> Promise:
    if not base.tensors:
        raise NotJudged(f"{base.path} holds no weights that can be read")
    if base.config.get("quantization_config") != case.saved.config.get("quantization_config") and case.saved.config:
        raise NotJudged("one of the two is quantized: its tensors are packed, and the other's are not")
    saved = case.saved
    tied = saved.tied if saved.config else base.tied
    # Whether the output layer should be there is what the check of ties says.
    heads = frozenset(key for key in base.tensors if is_head(key) and tied is not None)
    grown = frozenset(key for key in base.tensors if canonical(key) not in base.by_canonical)
    return Promise(str(base.path), {key: tuple(facts["shape"]) for key, facts in base.tensors.items()}, heads | grown)


def _of_configuration(case: Case) -> Promise:
    if case.kind != "full":
        raise NotJudged("there is no base to hold it against")
    if case.saved.config.get("quantization_config"):
        raise NotJudged("it is quantized: its tensors are packed, and its class does not say how")
    if case.saved.own_code:
        raise NotJudged("needs remote code, which is not run: name its base with --base")
    from harness.checkpoint.inspecting.layouts import closed_form

    shapes = closed_form(case.saved.config)
    if shapes is None and case.build:
        from harness.checkpoint.inspecting.building import built

        return Promise("its configuration", *built(case.path))
    if shapes is None:
        raise NotJudged("its class was not to be built: name its base with --base")
    return Promise("its configuration", shapes, frozenset(key for key in shapes if is_head(key)))
