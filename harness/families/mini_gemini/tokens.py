"""The tokens of Mini-Gemini's language models: which begin, end, pad and divide turns, and a small tokenizer of each.

Padding is done with the token of the unknown, except over Llama 3, which has none and pads with a reserved one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from harness.families.tokenizers import byte_level_bpe, byte_level_tokenizer, llama_bpe, llama_tokenizer, shipped_text

Style = Literal["llama", "chatml", "gemma", "llama3"]
ORDINARY = {"llama": 576, "chatml": 574, "gemma": 573, "llama3": 576}  # so that all fill a vocabulary of 576, or 640


@dataclass(frozen=True)
class Ids:
    """Of one tokenizer."""

    begin: int
    end: int
    pad: int


@dataclass(frozen=True)
class Tokens:
    """The special tokens of one style. `ids` are those of its tiny form, and published ones but for `published`."""

    style: Style
    begin: str
    end: str
    pad: str
    ids: Ids
    turns: tuple[str, ...] = ()  # tokens that divide turns, last in the vocabulary
    published: Ids | None = None

    def ids_of(self, size: str) -> Ids:
        return self.published if self.published and size == "full" else self.ids


LLAMA = Tokens("llama", "<s>", "</s>", "<unk>", Ids(1, 2, 0))
CHATML = Tokens("chatml", "<s>", "</s>", "<unk>", Ids(1, 2, 0), ("<|im_start|>", "<|im_end|>"))
GEMMA = Tokens("gemma", "<bos>", "<eos>", "<unk>", Ids(2, 1, 3), ("<start_of_turn>", "<end_of_turn>"))
_SLOTS = 64
LLAMA3 = Tokens(
    "llama3",
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|reserved_special_token_0|>",
    Ids(ORDINARY["llama3"], ORDINARY["llama3"] + 1, ORDINARY["llama3"] + 2),
    ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    published=Ids(128_000, 128_001, 128_002),
)


def tokenizer(tokens: Tokens, positions: int, chat_template: str) -> Any:
    """A tokenizer of that style over a small vocabulary."""
    options = {
        "padding_side": "right",
        "model_max_length": positions,
        "chat_template": chat_template,
    }
    if tokens.style == "llama3":
        return _over_bytes(tokens, options)
    if tokens.style == "gemma":
        return _gemma(tokens, options)
    made = llama_tokenizer(
        ORDINARY[tokens.style], shipped_text(), legacy=False, add_bos_token=True, pad_token=tokens.pad, **options
    )
    if tokens.turns:
        _add(made, tokens.turns)
    return made


def _add(made: Any, turns: tuple[str, ...]) -> None:
    from transformers import AddedToken

    added = [AddedToken(token, special=True, normalized=False) for token in turns]
    made.add_tokens(added, special_tokens=True)


def _over_bytes(tokens: Tokens, options: dict[str, Any]) -> Any:
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    named = (tokens.begin, tokens.end, tokens.pad, *tokens.turns)
    free = (f"<|reserved_special_token_{number}|>" for number in range(1, _SLOTS))
    special = [*named, *(next(free) for _ in range(_SLOTS - len(named)))]
    core = byte_level_tokenizer(*byte_level_bpe(ORDINARY["llama3"], _with_headers()), special)
    begin = (tokens.begin, tokens.ids.begin)
    core.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single=f"{tokens.begin} $A", special_tokens=[begin]),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=tokens.begin, eos_token=tokens.end, pad_token=tokens.pad, **options
    )


def _with_headers() -> tuple[str, ...]:
    """The corpus, with the names of the speakers often enough to become tokens."""
    said = shipped_text()
    return said + ("user\n\n", "assistant\n\n") * len(said)


def _gemma(tokens: Tokens, options: dict[str, Any]) -> Any:
    """Llama's kind of tokenizer with Gemma's first four tokens: pad, end, begin, unknown."""
    from tokenizers import Tokenizer, decoders, models, normalizers, processors
    from transformers import PreTrainedTokenizerFast

    vocab, merges = llama_bpe(ORDINARY["gemma"], shipped_text())
    first = {"<pad>": 0, tokens.end: 1, tokens.begin: 2, tokens.pad: 3}
    rest = sorted(((number, token) for token, number in vocab.items() if number > 2))
    vocab = {**first, **{token: number + 1 for number, token in rest}}
    core = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token=tokens.pad, fuse_unk=True, byte_fallback=True))
    core.normalizer = normalizers.Replace(" ", "▁")
    core.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    core.post_processor = processors.TemplateProcessing(
        single=f"{tokens.begin} $A", special_tokens=[(tokens.begin, tokens.ids.begin)]
    )
    made = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=tokens.begin,
        eos_token=tokens.end,
        unk_token=tokens.pad,
        pad_token=tokens.pad,
        **options,
    )
    _add(made, tokens.turns)
    return made
