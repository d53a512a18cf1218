"""Small tokenizers trained offline, in the shape of the published ones."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

_UNKNOWN, _BEGIN, _END = "<unk>", "<s>", "</s>"


@cache
def shipped_text() -> tuple[str, ...]:
    """Everything said in the shipped conversations, without image markers: enough to learn a small vocabulary from."""
    from harness.data import SHIPPED

    samples = json.loads(SHIPPED.read_text(encoding="utf-8"))
    said = (turn["value"] for sample in samples for turn in sample["conversations"])
    return tuple(text.replace("<image>", "").strip() for text in said)


@cache
def llama_bpe(vocabulary: int, corpus: tuple[str, ...]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of a Llama tokenizer: BPE over words that begin with a visible space, bytes as fallback.

    Ids 0 to 2 are unknown, begin and end, then come the 256 bytes, as in Llama's own vocabulary.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    special = [_UNKNOWN, _BEGIN, _END, *(f"<0x{byte:02X}>" for byte in range(256))]
    trained = Tokenizer(models.BPE(unk_token=_UNKNOWN, fuse_unk=True, byte_fallback=True))
    trained.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first")
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=special, show_progress=False)
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
