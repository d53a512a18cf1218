"""What a processor makes of a prompt, and what a model answers: made the same way by whoever fine-tunes and by whoever
loads the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

NEW_TOKENS = 4


def encoded_prompts(processor: Any, prompts: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """By prompt and by name, a digest of each input. A prompt is `text` with the paths of its `images`."""
    from harness.trace.nested import digest_of

    encoded: dict[str, dict[str, str]] = {}
    for name, key, value in prompt_inputs(processor, prompts):
        encoded.setdefault(name, {})[key] = digest_of(value)
    return encoded


def prompt_inputs(processor: Any, prompts: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, Any]]:
    """The inputs themselves: the prompt, the name, the value."""
    from harness.data.pixels import opened

    for name, prompt in sorted(prompts.items()):
        images = [opened(Path(path)) for path in prompt["images"]]
        inputs = processor(text=[prompt["text"]], images=images or None, return_tensors="pt")
        yield from ((name, key, value) for key, value in sorted(inputs.items()))


def greedy_ids(model: Any, arguments: dict[str, Any]) -> list[int]:
    """The last ids of what `model.generate` gives for one sample, decoded greedily.

    Models that are given embeddings hand back the new ids alone, others the prompt's before them.
    """
    ids = model.generate(**arguments, max_new_tokens=NEW_TOKENS, do_sample=False)
    return [int(token) for token in ids[0, -NEW_TOKENS:]]
