"""Loaders for directories that Auto classes alone do not bring back whole: a recipe names one as `save.loader`."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def with_image_tokens(directory: Path, dtype: Any = None, attention: str | None = None) -> Any:
    """A model that holds the ids of its image tokens in no configuration (OmniLMM), told them again by its tokenizer as
    its chat code does, and the keys that loading missed or did not know."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from harness import stack

    options: dict[str, Any] = {"trust_remote_code": True, "output_loading_info": True}
    options |= {**(stack.dtype_argument(dtype) if dtype else {}), **stack.attention_argument(attention)}
    model, info = AutoModelForCausalLM.from_pretrained(directory, **options)
    tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=True)
    model.initialize_vision_tokenizer(model.config.mm_use_im_start_end, tokenizer)
    return model, info
