"""What Mini-Gemini is fed through, and the code files that make it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from harness.families.mini_gemini.dimensions import Dimensions, Kind
from harness.families.mini_gemini.names import CLASSES, PROCESSOR_CLASS
from harness.families.mini_gemini.templates import Template
from harness.families.mini_gemini.tokens import tokenizer

CODE = Path(__file__).parent / "code_files"
PROCESSOR_CODE = {
    "AutoProcessor": f"processing_mini_gemini.{PROCESSOR_CLASS}",
    "AutoImageProcessor": "image_processing_mini_gemini.MGMImageProcessor",
}


def model_code(kind: Kind) -> dict[str, str]:
    """The auto_map of a configuration: which class is which, by the language model and by nothing else."""
    return {
        "AutoConfig": f"configuration_mini_gemini.{CLASSES[kind].configuration}",
        "AutoModelForCausalLM": f"modeling_mini_gemini.{CLASSES[kind].model}",
    }


def write_code(directory: Path) -> None:
    """Copy the code files into a directory."""
    for path in sorted(CODE.glob("*.py")):
        if path.name != "__init__.py":
            shutil.copyfile(path, directory / path.name)


def save_processor(directory: Path, d: Dimensions, template: Template) -> None:
    """Write the processor of the code files, over a small tokenizer, into a directory."""
    from harness.families.mini_gemini.code_files.image_processing_mini_gemini import MGMImageProcessor

    MGMImageProcessor(
        image_size=d.clip.image,
        image_size_aux=d.image_aux,
        image_grid=d.grid,
        image_global=d.whole,
        patch_size=d.clip.patch,
        auto_map=dict(PROCESSOR_CODE),
        processor_class=PROCESSOR_CLASS,
    ).save_pretrained(directory)
    own_tokenizer(d, template).save_pretrained(directory)


def own_tokenizer(d: Dimensions, template: Template) -> Any:
    """A small tokenizer as the version of the template needs it."""
    return tokenizer(template.tokens, d.positions, template.chat)
