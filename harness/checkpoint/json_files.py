"""The JSON files that transformers and peft read from a saved directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.refusal import Refused
from harness.trace.json_text import parsed

CONFIG = "config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
PREPROCESSOR_CONFIG = "preprocessor_config.json"
PROCESSOR_CONFIG = "processor_config.json"
ADAPTER_CONFIG = "adapter_config.json"
READ = (
    CONFIG,
    ADAPTER_CONFIG,
    "generation_config.json",
    TOKENIZER_CONFIG,
    PREPROCESSOR_CONFIG,
    PROCESSOR_CONFIG,
    "video_preprocessor_config.json",
    "tokenizer.json",
    "vocab.json",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.json",
)
"""Each of them holds one JSON object."""


def entries(path: Path) -> dict[str, Any]:
    """What a JSON file says; nothing where it is not there, or damaged, which `damaged_json` tells."""
    try:
        value = parsed(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def damaged_json(directory: Path) -> Iterator[Refused]:
    """The files that the libraries would fail to read, a line each."""
    for path in (directory / name for name in READ):
        if not path.is_file():
            continue
        try:
            if isinstance(parsed(path.read_bytes()), dict):
                continue
            how = "is damaged: it is no JSON object"
        except OSError as error:
            how = f"cannot be read: {error.strerror}"
        except ValueError:
            how = "is damaged: it is no JSON object"
        yield Refused(how, where=str(path), do="save the model again")
