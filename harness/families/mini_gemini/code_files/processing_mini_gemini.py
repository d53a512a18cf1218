"""Text with marks for pictures, and the pictures, to what the model takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from transformers import BatchFeature, ProcessorMixin

MARK = "<image>"
IMAGE_TOKEN_INDEX = -200


class MGMProcessor(ProcessorMixin):
    """An image processor and a tokenizer. One prompt at a time.

    The text is cut at the marks, each part is encoded by itself, and a picture's place is held by as many ids of no
    token as it will have features. A prompt without a picture comes with one of zeros.
    """

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
        parts = texts[0].split(MARK)
        if len(parts) - 1 != len(pictures):
            raise ValueError(f"{len(parts) - 1} marks {MARK} in the prompt, and {len(pictures)} images")
        place = [IMAGE_TOKEN_INDEX] * self.image_processor.tokens_of_a_picture
        row = self.ids_of(parts[0], first=True)
        for part in parts[1:]:
            row += place + self.ids_of(part, first=False)
        ids = torch.tensor([row])
        seen = self.image_processor(pictures) if pictures else self.image_processor.blank()
        return BatchFeature(data={"input_ids": ids, "attention_mask": torch.ones_like(ids), **seen})

    def ids_of(self, part: str, first: bool) -> list[int]:
        """The ids of a part of a prompt; the token that begins a text begins the first alone."""
        ids: list[int] = list(self.tokenizer(part)["input_ids"])
        begins = bool(ids) and ids[0] == self.tokenizer.bos_token_id
        return ids[1:] if begins and not first else ids
