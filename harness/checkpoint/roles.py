"""Which file of a saved directory plays which role: releases of the libraries put one and the same into other files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from harness.checkpoint.code_files import code_files
from harness.checkpoint.files import PROJECTOR, TRAINABLES
from harness.checkpoint.json_files import CONFIG, PREPROCESSOR_CONFIG, PROCESSOR_CONFIG, TOKENIZER_CONFIG, entries

CONFIGURATION = "configuration"
GENERATION = "generation configuration"
WEIGHTS = "weights"
INDEX = "weight index"
ADAPTER_CONFIGURATION = "adapter configuration"
ADAPTER_WEIGHTS = "adapter weights"
PROJECTOR_WEIGHTS = "projector weights"
BESIDE_ADAPTER = "weights beside the adapter"
TOKENIZER = "tokenizer"
TOKENIZER_CONFIGURATION = "tokenizer configuration"
SPECIAL_TOKENS = "special tokens"
CHAT_TEMPLATE = "chat template"
PROCESSOR = "processor"
IMAGE_PROCESSOR = "image processor"
CODE = "code"
TRAINER = "trainer"

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
"""The endings under which torch and Python write pickles."""

_BY_NAME: Mapping[str, tuple[str, ...]] = {
    CONFIGURATION: (CONFIG,),
    GENERATION: ("generation_config.json",),
    INDEX: ("*.safetensors.index.json", "*.bin.index.json"),
    ADAPTER_CONFIGURATION: ("adapter_config.json",),
    ADAPTER_WEIGHTS: ("adapter_model.safetensors", "adapter_model.bin"),
    PROJECTOR_WEIGHTS: (PROJECTOR,),
    BESIDE_ADAPTER: TRAINABLES,
    TOKENIZER: ("tokenizer.json", "*.model", "*.tiktoken", "vocab.txt"),
    TOKENIZER_CONFIGURATION: (TOKENIZER_CONFIG,),
    SPECIAL_TOKENS: ("special_tokens_map.json",),
    CHAT_TEMPLATE: ("chat_template.jinja", "chat_template.json"),
    PROCESSOR: (PROCESSOR_CONFIG,),
    IMAGE_PROCESSOR: (PREPROCESSOR_CONFIG,),
    TRAINER: (
        "training_args.bin",
        "trainer_state.json",
        "optimizer*.pt",
        "optimizer*.bin",
        "scheduler*.pt",
        "scheduler*.bin",
        "scaler*.pt",
        "rng_state*.pth",
        "*_resume.pth",
        "random_states_*.pkl",
        "latest",
        "zero_to_fp32.py",
    ),
}
PARTS = (ADAPTER_WEIGHTS, PROJECTOR_WEIGHTS, BESIDE_ADAPTER)
"""Weights that are nothing without a base."""
_IN_PAIRS = {"vocab.json": "merges.txt"}
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
_SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")


def roles(directory: Path) -> dict[str, list[str]]:
    """Each role that is played, and the files that play it, in order; a file may play several."""
    names = sorted(path.name for path in directory.iterdir() if path.is_file())
    found = {role: {name for name in names if _matches(name, patterns)} for role, patterns in _BY_NAME.items()}
    found[TOKENIZER] |= {
        name for one, other in _IN_PAIRS.items() if {one, other} <= set(names) for name in (one, other)
    }
    found[WEIGHTS] = {name for name in names if is_weights(name)}
    for role, files in _by_content(directory).items():
        found[role] |= files
    code = code_files(directory)
    found[CODE] = set(code.named) - set(code.missing)
    return {role: sorted(found[role]) for role in ORDER if found[role]}


def is_weights(name: str) -> bool:
    """Whether a file of this name holds weights of a model: none of a part of one, nor a trainer's own state."""
    others = (name for role in (*PARTS, TRAINER) for name in _BY_NAME[role])
    return name.endswith(_WEIGHTS) and not _matches(name, others)


def is_native(name: str) -> bool:
    """Whether a file of weights of this name is in torch's own format."""
    return name.endswith(PICKLED)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _by_content(directory: Path) -> dict[str, set[str]]:
    """The roles that a configuration plays by an entry in it."""
    tokenizer, preprocessor, processor = (
        entries(directory / name) for name in (TOKENIZER_CONFIG, PREPROCESSOR_CONFIG, PROCESSOR_CONFIG)
    )
    plays = {
        SPECIAL_TOKENS: {TOKENIZER_CONFIG: any(tokenizer.get(name) for name in _SPECIAL)},
        CHAT_TEMPLATE: {
            TOKENIZER_CONFIG: bool(tokenizer.get("chat_template")),
            PROCESSOR_CONFIG: bool(processor.get("chat_template")),
        },
        PROCESSOR: {
            PREPROCESSOR_CONFIG: _names_processor(preprocessor),
            TOKENIZER_CONFIG: _names_processor(tokenizer),
        },
        IMAGE_PROCESSOR: {PROCESSOR_CONFIG: bool(processor.get("image_processor"))},
    }
    return {role: {name for name, does in files.items() if does} for role, files in plays.items()}


def _names_processor(content: dict[str, Any]) -> bool:
    """Whether AutoProcessor learns from this configuration which class to build."""
    auto_map = content.get("auto_map")
    return bool(content.get("processor_class")) or (isinstance(auto_map, dict) and "AutoProcessor" in auto_map)


ORDER = (
    CONFIGURATION,
    GENERATION,
    WEIGHTS,
    INDEX,
    ADAPTER_CONFIGURATION,
    ADAPTER_WEIGHTS,
    PROJECTOR_WEIGHTS,
    BESIDE_ADAPTER,
    TOKENIZER,
    TOKENIZER_CONFIGURATION,
    SPECIAL_TOKENS,
    CHAT_TEMPLATE,
    PROCESSOR,
    IMAGE_PROCESSOR,
    CODE,
    TRAINER,
)
