"""What OmniLMM-12B is fed through, and the code files that make it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from harness.families.omnilmm import tokens
from harness.families.omnilmm.dimensions import Dimensions
from harness.families.omnilmm.names import MODEL_CLASS, PROCESSOR_CLASS

CODE = Path(__file__).parent / "code_files"
MODEL_CODE = {
    "AutoConfig": "configuration_omnilmm.OmniLMMConfig",
    "AutoModelForCausalLM": f"modeling_omnilmm.{MODEL_CLASS}",
}
PROCESSOR_CODE = {
    "AutoProcessor": f"processing_omnilmm.{PROCESSOR_CLASS}",
    "AutoImageProcessor": "image_processing_omnilmm.OmniLMMImageProcessor",
}

# Zephyr's turns, without the line end after the last.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' ~ message['role'] ~ '|>\n' ~ message['content'] ~ eos_token }}"
    "{% if not loop.last %}{{ '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\n<|assistant|>\n' }}{% endif %}"
)


def write_code(directory: Path) -> None:
    """Copy the code files into a directory."""
    for path in sorted(CODE.glob("*.py")):
        if path.name != "__init__.py":
            shutil.copyfile(path, directory / path.name)


def tokenizer(d: Dimensions) -> Any:
    """A Llama tokenizer, as Zephyr's, over words of what is shipped; it pads with its end token."""
    from transformers import AddedToken

    from harness.families.tokenizers import llama_tokenizer, shipped_text

    made = llama_tokenizer(
        d.ordinary,
        (*shipped_text(), *(tokens.ROLES.values())),
        padding_side="right",
        model_max_length=d.positions,
        legacy=False,
        add_bos_token=False,
        chat_template=CHAT_TEMPLATE,
    )
    added = [AddedToken(token, special=True, normalized=False) for token in tokens.ADDED[: d.added]]
    made.add_tokens(added, special_tokens=True)
    made.pad_token = tokens.END
    return made


def image_processor(d: Dimensions) -> Any:
    """The image processor of the code files."""
    from harness.families.omnilmm.code_files.image_processing_omnilmm import OmniLMMImageProcessor

    return OmniLMMImageProcessor(
        image_size=d.resolution,
        num_query=d.queries,
        auto_map=dict(PROCESSOR_CODE),
        processor_class=PROCESSOR_CLASS,
    )
