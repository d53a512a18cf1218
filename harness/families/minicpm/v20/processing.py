"""What MiniCPM-V 2.0 is fed through, and the code files of its directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.families.minicpm import processing as later
from harness.families.minicpm.templates import ASSISTANT, USER
from harness.families.minicpm.v20.dimensions import Dimensions
from harness.families.tokenizers import llama_bpe, metaspace_tokenizer, shipped_text

CODE = Path(__file__).parent / "code_files"
SHARED = ("image_processing_minicpmv.py", "processing_minicpmv.py")  # as in 2.5
TOKENIZER_CODE = {"AutoTokenizer": (None, "tokenization_minicpmv.MiniCPMVTokenizer")}
AROUND_PICTURES = (
    *("<image>", "</image>", "<ref>", "</ref>", "<box>", "</box>"),
    *("<quad>", "</quad>", "<point>", "</point>", "<slice>", "</slice>"),
)
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}<用户>{% else %}<AI>{% endif %}{{ message['content'] | trim }}"
    "{% endfor %}{% if add_generation_prompt %}<AI>{% endif %}"
)


def code_files() -> list[Path]:
    """The files that are copied into a directory."""
    own = [path for path in CODE.glob("*.py") if path.name != "__init__.py"]
    return sorted([*own, *(later.CODE / name for name in SHARED)], key=lambda path: path.name)


def tokenizer(d: Dimensions) -> Any:
    """The tokenizer of the code files: MiniCPM's BPE, learned from what is shipped, and the tokens around pictures."""
    from harness.families.minicpm.v20.code_files.tokenization_minicpmv import MiniCPMVTokenizer

    said = shipped_text()
    vocab, merges = llama_bpe(d.image_token, said + (USER, ASSISTANT) * len(said))
    return MiniCPMVTokenizer(
        tokenizer_object=metaspace_tokenizer(vocab, merges, list(AROUND_PICTURES)),
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<unk>",
        padding_side="right",
        truncation_side="right",
        model_input_names=["input_ids", "attention_mask"],
        chat_template=CHAT_TEMPLATE,
        auto_map=dict(TOKENIZER_CODE),
    )


def image_processor(d: Dimensions) -> Any:
    """The image processor that 2.5 has too, which hands pictures on as they are."""
    return later.image_processor(d, version=2.0)
