"""Text with marks for pictures, and the pictures, to what the model takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image
from transformers import BatchFeature, ProcessorMixin

MARK = "<image>"
PATCH, START, END = "<im_patch>", "<im_start>", "<im_end>"


class OmniLMMProcessor(ProcessorMixin):
    """An image processor and a tokenizer. One prompt at a time."""

    attributes = ["image_processor", "tokenizer"]  # noqa: RUF012
    image_processor_class = "AutoImageProcessor"
    tokenizer_class = "AutoTokenizer"

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None) -> None:
        super().__init__(image_processor, tokenizer, chat_template=chat_template)

    def __call__(
        self,
        text: str | Sequence[str],
        images: Image.Image | Sequence[Image.Image] | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """The inputs of one prompt, in which every mark stands for the next picture."""
        texts = [text] if isinstance(text, str) else list(text)
        pictures = [images] if isinstance(images, Image.Image) else list(images or [])
        if len(texts) != 1:
            raise ValueError(f"{len(texts)} prompts were given: this processor takes one at a time")
        if (marks := texts[0].count(MARK)) != len(pictures):
            raise ValueError(f"{marks} marks {MARK} in the prompt, and {len(pictures)} images")
        data = dict(self.tokenizer(self.expanded(texts[0]), add_special_tokens=False, return_tensors="pt"))
        if pictures:
            data |= self.image_processor(pictures)
        return BatchFeature(data=data)

    def expanded(self, text: str) -> str:
        """The text with the tokens of a picture in place of every mark."""
        return text.replace(MARK, START + PATCH * self.image_processor.num_query + END)
