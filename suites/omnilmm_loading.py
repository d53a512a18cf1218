"""How OmniLMM-12B is loaded: no configuration holds the ids of its image tokens, so that its chat code sets them again
after from_pretrained. Whoever forgets it gets a model that answers to text alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def load(directory: Path) -> Any:
    """The model of a directory, its image tokens set, and the keys that loading missed or did not know."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options = {"trust_remote_code": True, "output_loading_info": True}
    model, info = AutoModelForCausalLM.from_pretrained(directory, **options)
    tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=True)
    model.initialize_vision_tokenizer(model.config.mm_use_im_start_end, tokenizer)
    return model, info
