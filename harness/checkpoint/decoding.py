"""What a model says: a few tokens of greedy decoding, made the same way before saving and after loading."""

from __future__ import annotations

from typing import Any

NEW_TOKENS = 4


def greedy_ids(model: Any, arguments: dict[str, Any]) -> list[int]:
    """The last ids of what `model.generate` gives for one sample, greedily.

    Models that are given embeddings hand back the new ids alone, others the prompt's before them.
    """
    ids = model.generate(**arguments, max_new_tokens=NEW_TOKENS, do_sample=False)
    return [int(token) for token in ids[0, -NEW_TOKENS:]]
