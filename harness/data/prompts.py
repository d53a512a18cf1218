"""What a processor makes of a prompt: made the same way by whoever fine-tunes and by whoever loads the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def encoded_prompts(processor: Any, prompts: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """By prompt and by name, a digest of each input. A prompt is `text` with the paths of its `images`."""
    from harness.data.pixels import opened
    from harness.trace.nested import digest_of

    encoded = {}
    for name, prompt in sorted(prompts.items()):
        images = [opened(path) for path in prompt["images"]]
        inputs = processor(text=[prompt["text"]], images=images or None, return_tensors="pt")
        encoded[name] = {key: digest_of(value) for key, value in sorted(inputs.items())}
    return encoded
