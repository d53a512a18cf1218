"""A saved directory as the checks of `inspecting` see it: each file is read once, of weights the headers alone."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.checkpoint.code_files import CodeFiles, code_files
from harness.checkpoint.json_files import CONFIG, entries
from harness.checkpoint.missing import kind_of
from harness.checkpoint.problems import About, file_problems
from harness.checkpoint.roles import roles
from harness.checkpoint.tensors import Listed, described, files_with_weights
from harness.refusal import Refused
from harness.trace.arrays import BITS

WRAPPERS = frozenset({"model", "language_model", "vision_model", "base_model", "module", "_orig_mod", "default"})
"""Words of a path that releases of the libraries put in or leave out."""
_HEADS = ("lm_head", "embed_out", "output_layer")
_WITHOUT_HEAD = re.compile(r"Model$|Classification|Embedding|Retrieval|Reward")
"""Classes that give no logits over the vocabulary."""
_EMBEDDINGS = re.compile(r"(?:^|\.)(?:embed_tokens|tok_embeddings|wte|word_embeddings|embed_in)(?:\.weight)?$")
_NEVER_SAVED = re.compile(r"(?:position_ids|rotary_emb\.inv_freq|masked_bias)$")
QUANTIZED = ("U8", "I8", "I32", "U32", "F4", "F8_E4M3", "F8_E5M2")
FLOATS = ("F64", "F32", "F16", "BF16")


def canonical(key: str) -> str:
    """A key without the words by which releases of the libraries differ: a LLaVA has three spellings."""
    return ".".join(part for part in key.split(".") if part not in WRAPPERS)


def is_embedding(key: str) -> bool:
    """Whether the tensor under this key is the table of the model's own tokens."""
    return bool(_EMBEDDINGS.search(key)) and "vision" not in key


def is_head(key: str) -> bool:
    """Whether the tensor under this key is the output layer over the vocabulary."""
    path = canonical(key).removesuffix(".weight").removesuffix(".linear")
    return path == "output" or path.rpartition(".")[2] in _HEADS


def size_of(facts: Mapping[str, Any]) -> int:
    """The bytes that a tensor takes."""
    return int(math.prod(facts["shape"])) * BITS[facts["dtype"]] // 8


class Directory:
    """One directory. Everything is looked at once, when it is first asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def played(self) -> dict[str, list[str]]:
        """Its files by their roles."""
        return roles(self.path)

    @cached_property
    def problems(self) -> list[tuple[About, Refused]]:
        """What is wrong with its files."""
        return list(file_problems(self.path))

    @cached_property
    def code(self) -> CodeFiles:
        """The code that it brings along."""
        return code_files(self.path)

    @cached_property
    def kind(self) -> str:
        """What was saved, as far as its files show it."""
        return kind_of(self.played)

    @cached_property
    def _read(self) -> tuple[dict[str, Listed], dict[str, Refused]]:
        held: dict[str, Listed] = {}
        damaged: dict[str, Refused] = {}
        for path in files_with_weights(self.path):
            try:
                held[path.name] = described(path)
            except Refused as problem:
                damaged[path.name] = problem
        return held, damaged

    @property
    def files(self) -> dict[str, Listed]:
        """By file: the tensors in it, as its header says."""
        return self._read[0]

    @property
    def damaged(self) -> dict[str, Refused]:
        """The files of weights that cannot be read, and why."""
        return self._read[1]

    @cached_property
    def tensors(self) -> Listed:
        """Every tensor that can be read."""
        return {key: facts for listed in self.files.values() for key, facts in listed.items()}

    @cached_property
    def by_canonical(self) -> dict[str, str]:
        """Canonical name to key; empty where two keys would be one."""
        found = {canonical(key): key for key in self.tensors if not _NEVER_SAVED.search(key)}
        lost = sum(not _NEVER_SAVED.search(key) for key in self.tensors) - len(found)
        return {} if lost else found

    def json(self, name: str) -> dict[str, Any]:
        """What a JSON file says, and nothing where there is none."""
        return self._parsed.setdefault(name, entries(self.path / name))

    @cached_property
    def _parsed(self) -> dict[str, dict[str, Any]]:
        return {}

    @property
    def config(self) -> dict[str, Any]:
        return self.json(CONFIG)

    @property
    def text_config(self) -> dict[str, Any]:
        """The part of the configuration that is about language."""
        for name in ("text_config", "llm_config", "language_config"):
            if isinstance(part := self.config.get(name), dict):
                return part
        return self.config

    def setting(self, name: str) -> Any:
        """A setting of the language model, which may stand at the top or in its own part."""
        value = self.text_config.get(name)
        return self.config.get(name) if value is None else value

    @property
    def tied(self) -> bool | None:
        """Whether the configuration ties input and output embeddings; None where it does not say, or says both."""
        said = {
            part["tie_word_embeddings"]
            for part in (self.config, self.text_config)
            if isinstance(part.get("tie_word_embeddings"), bool)
        }
        return said.pop() if len(said) == 1 else None

    @cached_property
    def embedding(self) -> str | None:
        """The key of the table of tokens."""
        return next((key for key in self.tensors if is_embedding(key)), None)

    @cached_property
    def head(self) -> str | None:
        """The key of the output layer."""
        return next((key for key in self.tensors if is_head(key)), None)

    @property
    def headless(self) -> bool:
        """Whether its class is one that has no output layer."""
        classes = self.config.get("architectures")
        first = classes[0] if isinstance(classes, list) and classes else ""
        return bool(_WITHOUT_HEAD.search(str(first)))

    @property
    def own_code(self) -> bool:
        """Whether its model's classes come as code of its own."""
        auto_map = self.config.get("auto_map")
        return isinstance(auto_map, dict) and any(name.startswith("AutoModel") for name in auto_map)
