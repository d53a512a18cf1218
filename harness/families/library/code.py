"""A directory that brings the code of its model: the classes that its auto_map names. Asking for one runs its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.checkpoint.json_files import CONFIG, PREPROCESSOR_CONFIG, PROCESSOR_CONFIG, entries
from harness.families.library.types import Classes
from harness.refusal import Refused

MODELS = ("AutoModelForImageTextToText", "AutoModelForVision2Seq", "AutoModelForCausalLM", "AutoModel")


@dataclass(frozen=True)
class Code:
    """The classes of a directory, as file and class, by the Auto class that would load them."""

    directory: Path
    named: Mapping[str, str]

    def find(self, *auto: str) -> Any:
        """The class for the first of these Auto classes that one is named for; saving it copies its file. Raises
        Refused where none is."""
        from transformers.dynamic_module_utils import get_class_from_dynamic_module

        chosen = next((one for one in auto if one in self.named), None)
        if chosen is None:
            raise Refused(f"{self.directory}: its auto_map names no class for {auto[0]}", do="name it in config.json")
        kind: Any = get_class_from_dynamic_module(self.named[chosen], str(self.directory))
        kind.register_for_auto_class(chosen)
        return kind

    def classes(self) -> Classes:
        """The names of its classes; those for pictures and text may be the library's own."""
        model = next((self.named[one] for one in MODELS if one in self.named), "")
        processor, pictures = (entries(self.directory / name) for name in (PROCESSOR_CONFIG, PREPROCESSOR_CONFIG))
        settings = {**pictures, **processor.get("image_processor", {})}
        image = str(settings.get("image_processor_type") or "").removesuffix("Pil").removesuffix("Fast")
        named = processor.get("processor_class") or pictures.get("processor_class")
        return Classes(model.rpartition(".")[2], named, image or None, None, None)


def code_of(directory: Path) -> Code | None:
    """The code that a directory brings, none if it brings none."""
    named: dict[str, str] = {}
    for name in (PREPROCESSOR_CONFIG, PROCESSOR_CONFIG, CONFIG):
        for auto, where in (entries(directory / name).get("auto_map") or {}).items():
            if isinstance(where, str):
                named[auto] = where
    return Code(directory, named) if "AutoConfig" in named else None
