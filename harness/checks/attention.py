"""Attention is computed as it was asked for, and however it is computed the run leads to the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.checks.equivalence import AgreesWith, parted
from harness.checks.needs import ALONE, Closed, Need, Parameters, Partner, Steps
from harness.checks.registry import check
from harness.result import Finding, Reason
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.recipe import Recipe
    from harness.trace.reader import Trace


class OtherAttention(Finding):
    """Layers that compute attention in another way than was asked for."""


class AttentionMatters(Finding):
    """Steps whose attention is computed in one call that are not those in which it is computed line by line."""


@dataclass(frozen=True)
class _AttentionAsked(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.mechanisms.attention else Reason.ATTENTION_NOT_ASKED

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return None if (trace.model or {}).get("attention") else "how attention is computed was not recorded"


def _eager(recipe: Recipe) -> dict[str, Any]:
    return {"attention": "eager", **ALONE}


@check(
    "attention is computed as it was asked for, in every layer of the components that can be told",
    source="a tower that is made by itself keeps the library's choice: sdpa was asked for the whole model",
    needs=[Parameters, _AttentionAsked()],
)
def attention_as_asked(intent: Intent, trace: Trace) -> Iterator[Finding]:
    asked = {str(component): how for component, how in intent.mechanisms.attention.items()}
    seen: dict[str, str] = (trace.model or {})["attention"]
    for component, wanted in asked.items():
        ours = {path: how for path, how in seen.items() if _component(trace, path) == component}
        other = [path for path, how in ours.items() if how != wanted]
        if other or not ours:
            ways = ", ".join(dict.fromkeys(ours[path] for path in other))
            yield OtherAttention(
                expected=f"{component}: {wanted} attention",
                seen=f"{ways} in {len(other)} of {count(len(ours), 'layer')}" if ours else "no layer that says how",
                where=listed(other) if other else component,
                cause="a part is made by itself and was not told, or was told otherwise after loading",
                do="give attn_implementation to from_pretrained, and to what is loaded beside it",
            )


@check(
    "steps with attention in one call are those with attention line by line, in gradients and weights",
    source="fused kernels that lose a mask, a scale or a window: every loss looks plausible",
    needs=[
        Closed,
        Parameters,
        Steps(1),
        AgreesWith(other="eager-attention"),
        Partner(name="with_eager_attention", changes=_eager),
    ],
)
def attention_changes_nothing(intent: Intent, trace: Trace, with_eager_attention: Trace) -> Iterator[Finding]:
    for expected, seen, where in parted(trace, with_eager_attention, ("attention",), "eager attention"):
        yield AttentionMatters(
            expected=expected,
            seen=seen,
            where=where,
            cause="the other implementation is given another mask or scale, or has a fault of its own",
            do="train with attn_implementation eager, and compare the outputs of single layers",
        )


def _component(trace: Trace, path: str) -> str:
    return trace.naming.component(trace.naming.canonical(path))
