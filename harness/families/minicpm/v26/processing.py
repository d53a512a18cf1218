"""What MiniCPM-V 2.6 is fed through, and the code files of its directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.families.minicpm import processing as earlier
from harness.families.minicpm.dimensions import Dimensions
from harness.families.minicpm.v26 import tokens
from harness.families.tokenizers import byte_level_bpe, byte_level_tokenizer, shipped_text

CODE = Path(__file__).parent / "code_files"
SHARED = ("image_processing_minicpmv.py", "processing_minicpmv.py", "resampler.py")  # as in 2.5
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' ~ message['role'] ~ '\n' ~ message['content'] ~ '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_HEADERS = ("user\n", "assistant\n", "system\n")


def code_files() -> list[Path]:
    """The files that are copied into a directory."""
    own = [path for path in CODE.glob("*.py") if path.name not in ("__init__.py", *SHARED)]
    return sorted([*own, *(earlier.CODE / name for name in SHARED)], key=lambda path: path.name)


def tokenizer(d: Dimensions) -> Any:
    """The tokenizer of the code files over what is learned from the shipped texts."""
    from harness.families.minicpm.v26.code_files.tokenization_minicpmv_fast import MiniCPMVTokenizerFast

    said = shipped_text()
    vocab, merges = byte_level_bpe(d.ordinary - 1, said + _HEADERS * len(said))
    return MiniCPMVTokenizerFast(
        tokenizer_object=byte_level_tokenizer(vocab, merges, [tokens.UNKNOWN, *tokens.SPECIAL]),
        bos_token=tokens.OPEN,
        eos_token=tokens.CLOSE,
        unk_token=tokens.UNKNOWN,
        pad_token=tokens.PAD,
        padding_side="right",
        truncation_side="right",
        model_input_names=["input_ids", "attention_mask"],
        chat_template=CHAT_TEMPLATE,
        auto_map=dict(earlier.TOKENIZER_CODE),
    )


def image_processor(d: Dimensions) -> Any:
    """The image processor that 2.5 has too; this one numbers pictures, and marks slices by tokens of their own."""
    return earlier.image_processor(d, version=2.6, use_image_id=True)
