"""What MiniCPM-Llama3-V 2.5 is fed through, and the code files that make it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from harness.families.minicpm import tokens
from harness.families.minicpm.dimensions import Dimensions
from harness.families.minicpm.names import PROCESSOR_CLASS
from harness.families.tokenizers import Merges, byte_level_bpe, byte_level_tokenizer, shipped_text

CODE = Path(__file__).parent / "code_files"
MODEL_CODE = {
    "AutoConfig": "configuration_minicpm.MiniCPMVConfig",
    "AutoModel": "modeling_minicpmv.MiniCPMV",
    "AutoModelForCausalLM": "modeling_minicpmv.MiniCPMV",
}
PROCESSOR_CODE = {
    "AutoProcessor": f"processing_minicpmv.{PROCESSOR_CLASS}",
    "AutoImageProcessor": "image_processing_minicpmv.MiniCPMVImageProcessor",
}
TOKENIZER_CODE = {"AutoTokenizer": (None, "tokenization_minicpmv_fast.MiniCPMVTokenizerFast")}

# As published, it opens the assistant's turn whether it is asked to or not: training has a template of its own.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' ~ message['role'] ~ '<|end_header_id|>\n\n' }}"
    "{{ message['content'] | trim }}{{ '<|eot_id|>' }}"
    "{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
)
_HEADERS = ("user\n\n", "assistant\n\n")  # one token each for the role and for the line ends, as in Llama 3


def code_files() -> list[Path]:
    """The files that are copied into a directory."""
    return [path for path in sorted(CODE.glob("*.py")) if path.name != "__init__.py"]


def write_code(directory: Path) -> None:
    """Copy the code files into a directory."""
    for path in code_files():
        shutil.copyfile(path, directory / path.name)


def vocabulary(d: Dimensions) -> tuple[dict[str, int], Merges]:
    """Ordinary tokens learned from what is shipped."""
    said = shipped_text()
    return byte_level_bpe(d.ordinary, said + _HEADERS * len(said))


def tokenizer(d: Dimensions, vocab: dict[str, int], merges: Merges) -> Any:
    """The tokenizer of the code files over a vocabulary of ordinary tokens."""
    from harness.families.minicpm.code_files.tokenization_minicpmv_fast import MiniCPMVTokenizerFast

    return MiniCPMVTokenizerFast(
        tokenizer_object=byte_level_tokenizer(vocab, merges, tokens.special(d)),
        bos_token=tokens.BEGIN,
        eos_token=tokens.END,
        unk_token=tokens.UNKNOWN,
        pad_token=tokens.PAD,
        padding_side="right",
        truncation_side="right",
        model_input_names=["input_ids", "attention_mask"],
        chat_template=CHAT_TEMPLATE,
        auto_map=dict(TOKENIZER_CODE),
    )


def image_processor(d: Any, **options: Any) -> Any:
    """The image processor of the code files, for a model of these sizes."""
    from harness.families.minicpm.code_files.image_processing_minicpmv import MiniCPMVImageProcessor

    return MiniCPMVImageProcessor(
        max_slice_nums=d.slices,
        scale_resolution=d.resolution,
        patch_size=d.patch,
        image_feature_size=d.queries,
        auto_map=dict(PROCESSOR_CODE),
        processor_class=PROCESSOR_CLASS,
        **options,
    )
