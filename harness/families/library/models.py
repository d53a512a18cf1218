"""Models of a type: the configuration, full and tiny, and what follows from the model that it makes on meta."""

from __future__ import annotations

import copy
import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness import stack_classes
from harness.families.library.code import MODELS, Code
from harness.families.library.overrides import Override
from harness.families.library.shrinking import VOCABULARY, assign, configurations, shrink
from harness.families.library.types import Classes

if TYPE_CHECKING:
    from torch import nn

_IDS = ("_token_id", "_token_index", "_token_ids")


@dataclass(frozen=True)
class Blueprint:
    """What models of a type are made from: its classes, what it needs beyond the rules, what a config.json says."""

    model_type: str
    classes: Classes
    override: Override
    said: Mapping[str, Any] | None = None
    code: Code | None = None

    def configuration(self, small: bool = False) -> Any:
        """The configuration that a config.json makes, or the defaults of its class."""
        from transformers import CONFIG_MAPPING

        kind = self.code.find("AutoConfig") if self.code else CONFIG_MAPPING[self.model_type]
        if self.said is not None:
            return kind.from_dict(copy.deepcopy(dict(self.said)))
        return kind(**copy.deepcopy(self.override.base)) if small else kind()

    def small_configuration(self) -> Any:
        """The same made small, but for the ids that tokens have."""
        config = self.configuration(small=True)
        _say_sections(config)
        shrink(config)
        for name, value in self.override.config.items():
            assign(config, name, value)
        config.architectures = [self.classes.model]
        return config

    def outline(self) -> Any:
        """The small configuration with ids that no processor has given: enough for the tree of modules."""
        config = self.small_configuration()
        with_ids(config, {}, iter(range(VOCABULARY - 1, 0, -1)))
        return config

    def tiny_configuration(self, processor: Any, place: int | None) -> Any:
        """The small configuration with the ids that the processor's tokens have; `place` is that of features."""
        config = self.small_configuration()
        used = len(processor.tokenizer)
        rows = max(VOCABULARY, 64 * (used // 64 + 2))  # some that no token uses
        for one in configurations(config).values():
            if vars(one).get("vocab_size") == VOCABULARY and rows > VOCABULARY:
                one.vocab_size = rows
        known = _known_ids(processor)
        if place is not None:
            known |= dict.fromkeys(("image", "img_context", "image_patch"), place)
        with_ids(config, known, iter(range(rows - 1, used, -1)))
        for name, token in self.override.ids.items():
            assign(config, name, processor.tokenizer.convert_tokens_to_ids(token))
        return config

    @property
    def model_class(self) -> Any:
        import transformers

        return self.code.find(*MODELS) if self.code else getattr(transformers, self.classes.model)

    @property
    def processor_class(self) -> str:
        return self.override.processor_class or self.classes.processor or ""

    def on_meta(self, config: Any) -> nn.Module:
        import torch

        with torch.device("meta"):
            model: nn.Module = stack_classes.tied(self.model_class(config))
        return model


def _say_sections(config: Any) -> None:
    """Say in the configuration which sections rotary positions have where the model's code alone knows it."""
    text = config.get_text_config()
    rope = getattr(text, "rope_parameters", None)
    if not isinstance(rope, dict) or any(isinstance(one, dict) for one in rope.values()):
        return
    code = importlib.import_module(type(text).__module__.replace(".configuration_", ".modeling_"))
    known = re.search(r"""["']mrope_section["'],\s*\[(\d+(?:,\s*\d+)*)\]""", inspect.getsource(code))
    if known:
        rope.setdefault("mrope_section", [int(one) for one in known[1].split(",")])


def with_ids(config: Any, known: dict[str, int], spare: Iterator[int]) -> None:
    """Give every special id in a configuration the one known for its word, or one that no token has."""
    given: dict[str, int] = {}
    for path, one in configurations(config).items():
        for name, value in vars(one).items():
            if not name.endswith(_IDS) and name not in known:
                continue
            stem = name
            for ending in _IDS:
                stem = stem.removesuffix(ending)
            if isinstance(value, list):
                setattr(one, name, [known[stem]] if stem in known else value)
            elif stem in known:
                setattr(one, name, known[stem])
            elif isinstance(value, int) and value >= 0 and "audio" not in path:
                given.setdefault(stem, next(spare))
                setattr(one, name, given[stem])


def _known_ids(processor: Any) -> dict[str, int]:
    """By the word for it, the id of each token that processor and tokenizer have a name for."""
    tokenizer = processor.tokenizer
    vocabulary = tokenizer.get_vocab()
    found = {
        "pad": tokenizer.pad_token_id,
        "bos": tokenizer.bos_token_id,
        "eos": tokenizer.eos_token_id,
        "unk": tokenizer.unk_token_id,
        "decoder_start": tokenizer.bos_token_id,
        "sep": tokenizer.eos_token_id,
    }
    for owner in (tokenizer, processor):
        for name in [*vars(owner), *getattr(tokenizer, "extra_special_tokens", {}), *_listed(type(owner))]:
            word = name.removesuffix("_id").removesuffix("_ids").removesuffix("_token")
            if not name.endswith(("_token", "_token_id")) or word in ("pad", "bos", "eos", "unk", "fake_image"):
                continue
            value = getattr(owner, name, None)
            text = getattr(value, "content", value)
            if isinstance(text, str) and text in vocabulary:
                found[word] = vocabulary[text]
            elif isinstance(value, int):
                found[word] = value
    return found


def _listed(kind: type) -> list[str]:
    return [name for name in dir(kind) if name.endswith(("_token", "_token_id")) and not name.startswith("_")]
