"""What MiniMind is fed through: a tokenizer, and MiniMind-V's image processor beside it. Neither has a processor of the
library's kind, so that none is saved and none is asked for."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.families.minimind.dimensions import Vision
from harness.families.minimind.tokens import Chat
from harness.families.tokenizers import byte_level_bpe, byte_level_tokenizer, shipped_text

CODE = Path(__file__).parent / "code_files"


@dataclass(frozen=True)
class Feeder:
    """Tokenizer and image processor under one call."""

    tokenizer: Any
    image_processor: Any = None

    def __call__(self, text: list[str], images: Any = None, return_tensors: str = "pt") -> dict[str, Any]:
        inputs = {"input_ids": self.tokenizer(text, return_tensors=return_tensors)["input_ids"]}
        if images:
            inputs |= dict(self.image_processor(images=images, return_tensors=return_tensors))
        return inputs

    def save_pretrained(self, directory: Path) -> None:
        self.tokenizer.save_pretrained(directory)
        if self.image_processor:
            self.image_processor.save_pretrained(directory)


def tokenizer(chat: Chat, vocabulary: int) -> Any:
    """The chat's special tokens first, then bytes, then what is learned from what is shipped."""
    from transformers import PreTrainedTokenizerFast

    said = shipped_text()
    words = ("user\n", "assistant\n", "\n")
    learned, merges = byte_level_bpe(vocabulary - len(chat.special), said + words * len(said))
    first = {token: number for number, token in enumerate(chat.special)}
    vocab = first | {token: number + len(first) for token, number in learned.items()}
    return PreTrainedTokenizerFast(
        tokenizer_object=byte_level_tokenizer(vocab, merges, list(chat.special)),
        bos_token=chat.begin,
        eos_token=chat.end,
        unk_token=chat.special[0],
        pad_token=chat.pad,
        padding_side="right",
        model_input_names=["input_ids", "attention_mask"],
        chat_template=chat.template,
    )


def image_processor(vision: Vision) -> Any:
    """The encoder's own image processor."""
    from harness import stack

    side = {"height": vision.image, "width": vision.image}
    return stack.pil_image_processor("SiglipImageProcessor")(size=side, do_convert_rgb=True)


def write_code(directory: Path, names: tuple[str, ...]) -> None:
    """Copy a generation's code files into a directory."""
    for name in names:
        shutil.copyfile(CODE / name, directory / name)
