"""What MiniCPM-V 4.6 and 4.7 are fed through: the library's own processors, built offline."""

from __future__ import annotations

from typing import Any

from harness.families.minicpm.v4.dimensions import Dimensions
from harness.families.tokenizers import byte_level_bpe, byte_level_tokenizer, shipped_text

PAD, OPEN, CLOSE, PICTURE, FILM = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image_pad|>", "<|video_pad|>"
NAMED = {
    "image_token": PICTURE,
    "video_token": FILM,
    "image_start_token": "<image>",
    "image_end_token": "</image>",
    "slice_start_token": "<slice>",
    "slice_end_token": "</slice>",
    "image_id_start_token": "<image_id>",
    "image_id_end_token": "</image_id>",
}
SPECIAL = (PAD, OPEN, CLOSE, *NAMED.values())
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' ~ message['role'] ~ '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<|image_pad|>\n"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_HEADERS = ("user\n", "assistant\n")


def special_ids(d: Dimensions) -> dict[str, int]:
    """The id of each special token."""
    return {token: d.ordinary + slot for slot, token in enumerate(SPECIAL)}


def configured_ids(kind: str, d: Dimensions, newline: int) -> dict[str, int]:
    """The ids that the configuration holds: without that of pictures the tower is passed over, and nothing is said."""
    ids = special_ids(d)
    found = {"image_token_id": ids[PICTURE], "video_token_id": ids[FILM]}
    if kind == "4_6":
        return found
    around = {f"{name}_id": ids[NAMED[f"{name}_token"]] for name in ("image_start", "image_end")}
    around |= {f"{name}_id": ids[NAMED[f"{name}_token"]] for name in ("slice_start", "slice_end")}
    return {**found, **around, "newline_id": newline}


def tokenizer(d: Dimensions) -> Any:
    """A tokenizer as Qwen's over what is learned from the shipped texts, with names for the tokens around pictures."""
    from transformers import PreTrainedTokenizerFast

    said = shipped_text()
    vocab, merges = byte_level_bpe(d.ordinary, said + _HEADERS * len(said))
    return PreTrainedTokenizerFast(
        tokenizer_object=byte_level_tokenizer(vocab, merges, list(SPECIAL)),
        eos_token=CLOSE,
        pad_token=PAD,
        padding_side="left",
        extra_special_tokens=dict(NAMED),
        chat_template=CHAT_TEMPLATE,
    )


def processor(kind: str, d: Dimensions) -> Any:
    """The library's processor for pictures of these sizes."""
    from harness import stack

    images = stack.pil_image_processor("MiniCPMV4_6ImageProcessor")(
        max_slice_nums=d.slices, scale_resolution=d.resolution, patch_size=d.patch
    )
    return stack.processor_of_pictures(f"MiniCPMV{kind}Processor", images, tokenizer(d), CHAT_TEMPLATE)
