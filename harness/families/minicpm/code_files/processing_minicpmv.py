"""Text with marks for pictures, and the pictures, to what the model takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from transformers import BatchFeature, ProcessorMixin

MARK = "(<image>./</image>)"


class MiniCPMVProcessor(ProcessorMixin):
    """An image processor and a tokenizer. One prompt at a time: the lengths of prompts differ with their pictures."""

    attributes = ["image_processor", "tokenizer"]  # noqa: RUF012
    image_processor_class = "AutoImageProcessor"
    tokenizer_class = "AutoTokenizer"

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None) -> None:
        super().__init__(image_processor, tokenizer, chat_template=chat_template)

    def __call__(
        self,
        text: str | Sequence[str],
        images: Image.Image | Sequence[Image.Image] | None = None,
        numbers: Sequence[int | None] | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """The inputs of one prompt, in which every mark stands for the next picture."""
        texts = [text] if isinstance(text, str) else list(text)
        pictures = [images] if isinstance(images, Image.Image) else list(images or [])
        if len(texts) != 1:
            raise ValueError(f"{len(texts)} prompts were given: this processor takes one at a time")
        ids = self.tokenizer(self.expanded(texts[0], pictures, numbers), return_tensors="pt")["input_ids"]
        data: dict[str, Any] = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "position_ids": torch.arange(ids.shape[1])[None],
            "image_bound": [self.image_bound(ids[0])],
            "pixel_values": [[]],
            "tgt_sizes": [[]],
        }
        if pictures:
            seen = self.image_processor(pictures)
            data |= {"pixel_values": [seen["pixel_values"]], "tgt_sizes": [seen["tgt_sizes"]]}
        return BatchFeature(data=data)

    def expanded(self, text: str, images: Sequence[Image.Image], numbers: Sequence[int | None] | None = None) -> str:
        """The text with what stands for each picture in place of its mark; where pictures have numbers, from 0."""
        first, *others = text.split(MARK)
        if len(others) != len(images):
            raise ValueError(f"{len(others)} marks {MARK} in the prompt, and {len(images)} images")
        if numbers is None:
            numbers = range(len(images)) if self.image_processor.use_image_id else [None] * len(images)
        put = self.image_processor.get_slice_image_placeholder
        places = (put(image.size, number) for image, number in zip(images, numbers, strict=True))
        return first + "".join(place + after for place, after in zip(places, others, strict=True))

    def image_bound(self, ids: torch.Tensor) -> torch.Tensor:
        """Where the features of each slice go: from after its start token to before its end token.

        From 2.6 on parts stand between tokens of their own; before, those stand around all parts together.
        """
        starting, ending = [self.tokenizer.im_start_id], [self.tokenizer.im_end_id]
        if self.image_processor.version >= 2.6:
            starting.append(self.tokenizer.slice_start_id)
            ending.append(self.tokenizer.slice_end_id)
        starts = torch.where(torch.isin(ids, torch.tensor(starting)))[0] + 1
        ends = torch.where(torch.isin(ids, torch.tensor(ending)))[0]
        if len(starts) != len(ends):
            raise ValueError(f"{len(starts)} image start tokens and {len(ends)} image end tokens in the prompt")
        return torch.stack([starts, ends], dim=1)
