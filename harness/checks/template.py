"""The conversation template is one that the tokenizer is made for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.needs import _DataPromise
from harness.checks.registry import check
from harness.result import Finding, Reason
from harness.wording import count

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class TemplateTokenCutUp(Finding):
    """A token of the template that is several to the tokenizer."""


@dataclass(frozen=True)
class _TemplateTokens(_DataPromise):
    """The template has tokens of its own, and the run said how many each is to its tokenizer."""

    def refusal(self, intent: Intent) -> Reason | None:
        return super().refusal(intent) or (None if intent.single_tokens else Reason.NO_TEMPLATE_TOKENS)

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        if missing := super().missing(intent, trace):
            return missing
        return None if "single" in trace.of("data")[0] else "how the tokenizer takes the template was not announced"


TemplateTokens = _TemplateTokens()


@check(
    "each token of the conversation template is one token to the tokenizer",
    source="MGM #83: a template of another model; every sample's labels are lost, or the loss begins at 17",
    needs=[TemplateTokens],
)
def template_fits_tokenizer(intent: Intent, trace: Trace) -> Iterator[Finding]:
    found = trace.of("data")[0]["single"]
    for token in intent.single_tokens:
        if (tokens := found.get(token, 0)) != 1:
            yield TemplateTokenCutUp(
                expected=f"{token} as one token",
                seen=count(tokens, "token"),
                where=f"the tokenizer, asked for {token} alone",
                cause="the template is another model's, or the tokenizer has lost its special tokens",
                do="choose the template that the base model was trained with, or repair the tokenizer's files",
            )
