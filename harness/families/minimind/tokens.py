"""The special tokens of each generation, first in the vocabulary, and how turns are written with them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chat:
    """How a conversation is written: each turn between two tokens, and what pads."""

    special: tuple[str, ...]
    begin: str
    end: str
    pad: str

    def opened(self, speaker: str) -> str:
        return f"{self.begin}{speaker}\n"

    @property
    def closed(self) -> str:
        """The end of a turn, its line end included: both are learned."""
        return f"{self.end}\n"

    @property
    def template(self) -> str:
        return (
            "{% for message in messages %}"
            f"{{{{ '{self.begin}' + message['role'] + '\\n' + message['content'] + '{self.end}\\n' }}}}"
            "{% endfor %}"
            f"{{% if add_generation_prompt %}}{{{{ '{self.begin}assistant\\n' }}}}{{% endif %}}"
        )


IMAGE = "<|image_pad|>"
FIRST = Chat(("<unk>", "<s>", "</s>"), "<s>", "</s>", "<unk>")
THIRD = Chat(
    (
        "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
        "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", IMAGE,
    ),
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
)  # fmt: skip
