"""What was saved speaks the same language: chat template, token ids, and rows for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.needs import AddedTokens, Closed, Loaded, Parameters, Reload, SavedTokenizer, VerifiedBase
from harness.checks.registry import check
from harness.result import Finding
from harness.wording import listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class TemplateChanged(Finding):
    """Another chat template than the base's: whoever chats with the result puts other tokens around the words."""


class IdBeyondVocabulary(Finding):
    """Token ids for which the embedding has no row."""


class EmbeddingsNotGrown(Finding):
    """Added tokens for which there are no rows, or which did not come back."""


@check(
    "the saved chat template is the base's",
    source="MiniCPM-V: the training template was written into the saved tokenizer, and answers lost their header",
    needs=[Closed, VerifiedBase, Reload, SavedTokenizer],
)
def chat_template_kept(intent: Intent, trace: Trace) -> Iterator[Finding]:
    base, saved = trace.base_reloaded or {}, trace.reloaded or {}
    if "tokenizer_error" in saved:
        yield TemplateChanged(expected="a tokenizer", seen=saved["tokenizer_error"], where="the saved directory")
    elif base.get("chat_template") != saved.get("chat_template"):
        yield TemplateChanged(
            expected="the base's chat template" if base.get("chat_template") else "no chat template",
            seen="another one" if saved.get("chat_template") else "none",
            where="chat_template.jinja, or chat_template in tokenizer_config.json",
            cause="the training code set tokenizer.chat_template and saved the tokenizer with it",
        )


@check(
    "the vocabulary covers every token id",
    source="a pad token that was added without a row: index out of range at the first padded batch",
    needs=[Closed, Loaded, SavedTokenizer],
)
def vocabulary_covers_ids(intent: Intent, trace: Trace) -> Iterator[Finding]:
    reloaded = trace.reloaded or {}
    vocabulary = reloaded.get("vocabulary")
    if vocabulary is None:
        seen = reloaded.get("vocabulary_error") or reloaded.get("tokenizer_error", "no tokenizer")
        yield IdBeyondVocabulary(expected="a tokenizer beside the model", seen=seen, where="the saved directory")
        return
    named = {"the tokenizer's largest id": vocabulary["largest"], **vocabulary["ids"]}
    beyond = [f"{name} {token}" for name, token in named.items() if token >= vocabulary["rows"]]
    if beyond:
        yield IdBeyondVocabulary(
            expected=f"ids below {vocabulary['rows']}, the embedding's rows",
            seen=listed(beyond),
            where="tokenizer, config.json, generation_config.json",
            cause="tokens were added and the embeddings not resized, or the configuration is another model's",
        )


@check(
    "embeddings grew with the added tokens, and both came back",
    source="peft saves resized embeddings only where it notices that they were resized",
    needs=[AddedTokens, Closed, Parameters, Loaded, SavedTokenizer],
)
def embeddings_resized(intent: Intent, trace: Trace) -> Iterator[Finding]:
    tokens = trace.of("encoded")[0]["tokens"]
    tables = [p for p in trace.parameters if intent.is_resized(p.key) and len(p.shape) > 1]
    if short := [p for p in tables if p.shape[0] < tokens]:
        yield EmbeddingsNotGrown(
            expected=f"a row for each of {tokens} tokens",
            seen=listed(f"{p.shape[0]} rows of {p.key}" for p in short),
            where="the model in training",
            cause="the tokenizer has learned new tokens and the model was not resized",
        )
    back = (trace.reloaded or {}).get("vocabulary") or {"tokens": 0, "rows": 0}
    for name, wanted in (("tokens", tokens), ("rows", max(p.shape[0] for p in tables))):
        if back[name] != wanted:
            yield EmbeddingsNotGrown(
                expected=f"{wanted} {name} after loading",
                seen=str(back[name]),
                where="the saved directory",
                cause="the tokenizer, or the resized embeddings, were not saved",
            )
