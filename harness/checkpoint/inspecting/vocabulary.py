"""The tokens of a directory, from its tokenizer's files: which there are, and which id each has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.checkpoint.inspecting.directory import Directory
from harness.checkpoint.json_files import PROCESSOR_CONFIG, TOKENIZER_CONFIG
from harness.trace.json_text import parsed

SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token", "image_token", "video_token", "audio_token")


@dataclass(frozen=True)
class Vocabulary:
    """Token to id, as far as the files can be read without the library that made them."""

    ids: dict[str, int]
    whole: bool
    """Whether these are all: of some tokenizers only the added ones can be told."""

    @property
    def size(self) -> int:
        """One more than the largest id."""
        return max(self.ids.values(), default=-1) + 1


def vocabulary_of(place: Directory) -> Vocabulary | None:
    """The tokens; None where no file of a tokenizer says any."""
    ids: dict[str, int] = {}
    whole = False
    try:
        content = parsed((place.path / "tokenizer.json").read_bytes())
    except (OSError, ValueError):
        content = {}
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        found = dict(_of_model(content["model"].get("vocab")))
        whole = bool(found)
        ids |= found
        ids |= dict(_added(content.get("added_tokens")))
    for name in ("vocab.json", "added_tokens.json"):
        found = {k: v for k, v in place.json(name).items() if isinstance(v, int)} if not whole or name[0] == "a" else {}
        whole = whole or (name == "vocab.json" and bool(found))
        ids |= found
    decoder = place.json(TOKENIZER_CONFIG).get("added_tokens_decoder")
    if isinstance(decoder, dict):
        for number, token in decoder.items():
            if isinstance(token, dict) and isinstance(token.get("content"), str) and str(number).isdigit():
                ids.setdefault(token["content"], int(number))
    return Vocabulary(ids, whole) if ids else None


def _of_model(vocab: Any) -> Iterator[tuple[str, int]]:
    if isinstance(vocab, dict):
        yield from ((token, number) for token, number in vocab.items() if isinstance(number, int))
    elif isinstance(vocab, list):  # of a unigram model: pieces with scores, in the order of their ids
        yield from ((piece[0], number) for number, piece in enumerate(vocab) if isinstance(piece, list) and piece)


def _added(tokens: Any) -> Iterator[tuple[str, int]]:
    for token in tokens if isinstance(tokens, list) else ():
        if isinstance(token, dict) and isinstance(token.get("content"), str) and isinstance(token.get("id"), int):
            yield token["content"], token["id"]


def special_tokens(place: Directory) -> dict[str, str]:
    """By role: the tokens that tokenizer and processor give one."""
    found: dict[str, str] = {}
    for content in (place.json(TOKENIZER_CONFIG), place.json("special_tokens_map.json"), place.json(PROCESSOR_CONFIG)):
        for name in SPECIAL:
            value = content.get(name)
            value = value.get("content") if isinstance(value, dict) else value
            if isinstance(value, str) and value:
                found.setdefault(name, value)
    return found


def named_ids(place: Directory) -> dict[str, list[int]]:
    """The ids that the configurations name, by file and setting."""
    found: dict[str, list[int]] = {}
    parts = {
        "config.json": place.config,
        **({"config.json: text_config": place.text_config} if place.text_config is not place.config else {}),
        "generation_config.json": place.json("generation_config.json"),
    }
    for file, content in parts.items():
        for name, value in content.items():
            if name.endswith(("_token_id", "_token_index")) and not name.startswith("decoder"):
                numbers = value if isinstance(value, list) else [value]
                if ids := [number for number in numbers if type(number) is int and number >= 0]:
                    found[f"{file}: {name}"] = ids
    return found
