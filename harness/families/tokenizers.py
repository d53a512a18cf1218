"""Small tokenizers trained offline, in the shape of the published ones."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

_UNKNOWN, _BEGIN, _END = "<unk>", "<s>", "</s>"
# What Llama 3 takes for words: letters with one sign before them, up to three digits, other signs, line ends, spaces.
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

Merges = list[tuple[str, str]]


@cache
def shipped_text() -> tuple[str, ...]:
    """Everything said in the shipped conversations, without image markers: enough to learn a small vocabulary from."""
    from harness.data import SHIPPED

    samples = json.loads(SHIPPED.read_text(encoding="utf-8"))
    said = (turn["value"] for sample in samples for turn in sample["conversations"])
    return tuple(text.replace("<image>", "").strip() for text in said)


@cache
def llama_bpe(vocabulary: int, corpus: tuple[str, ...]) -> tuple[dict[str, int], Merges]:
    """Vocabulary and merges of a Llama tokenizer: BPE over words that begin with a visible space, bytes as fallback.

    Ids 0 to 2 are unknown, begin and end, then come the 256 bytes, as in Llama's own vocabulary.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    special = [_UNKNOWN, _BEGIN, _END, *(f"<0x{byte:02X}>" for byte in range(256))]
    trained = Tokenizer(models.BPE(unk_token=_UNKNOWN, fuse_unk=True, byte_fallback=True))
    trained.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first")
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=special, show_progress=False)
    return _learned(trained, trainer, corpus, vocabulary)


@cache
def byte_level_bpe(vocabulary: int, corpus: tuple[str, ...]) -> tuple[dict[str, int], Merges]:
    """Vocabulary and merges of a Llama 3 tokenizer: BPE over bytes, of which "!" is the first, then what is learned."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = _words_in_bytes()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    return _learned(trained, trainer, corpus, vocabulary)


def metaspace_tokenizer(vocab: dict[str, int], merges: Merges, special: list[str]) -> Any:
    """A tokenizers object as Llama's, special tokens after all others. Asked for special tokens, it begins a text."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    core = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token=_UNKNOWN, fuse_unk=True, byte_fallback=True))
    core.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first")
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    core.post_processor = processors.TemplateProcessing(single=f"{_BEGIN} $A", special_tokens=[(_BEGIN, vocab[_BEGIN])])
    known = (_UNKNOWN, _BEGIN, _END, *special)
    core.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in known])
    return core


def byte_level_tokenizer(vocab: dict[str, int], merges: Merges, special: list[str]) -> Any:
    """A tokenizers object as Llama 3's, its special tokens after all others. It puts no begin token before a text."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, processors

    core = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=True))
    core.pre_tokenizer = _words_in_bytes()
    core.decoder = decoders.ByteLevel()
    core.post_processor = processors.ByteLevel(trim_offsets=False)
    core.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    return core


def _words_in_bytes() -> Any:
    from tokenizers import Regex, pre_tokenizers

    words = pre_tokenizers.Split(Regex(_WORDS), behavior="isolated")
    return pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _learned(trained: Any, trainer: Any, corpus: tuple[str, ...], vocabulary: int) -> tuple[dict[str, int], Merges]:
    """Vocabulary and merges of a tokenizer trained on the corpus."""
    trained.train_from_iterator(corpus, trainer)
    model = json.loads(trained.to_str())["model"]
    pairs = (m.split(" ", 1) if isinstance(m, str) else m for m in model["merges"])
    merges = [(first, second) for first, second in pairs]
    if len(model["vocab"]) != vocabulary:
        raise ValueError(f"the corpus yields {len(model['vocab'])} tokens, not {vocabulary}")
    return model["vocab"], merges


def llama_tokenizer(vocabulary: int, corpus: tuple[str, ...], **options: Any) -> Any:
    """A Llama tokenizer over that vocabulary, from the library's own class."""
    from harness import stack

    vocab, merges = llama_bpe(vocabulary, corpus)
    return stack.llama_tokenizer(vocab, merges, unk_token=_UNKNOWN, bos_token=_BEGIN, eos_token=_END, **options)
