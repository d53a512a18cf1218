"""What LLaVA-1.5 is fed through: its processor, whose tokenizer and image size are the tiny model's."""

from __future__ import annotations

from typing import Any

from harness.families.llava.dimensions import Dimensions

IMAGE, PAD = "<image>", "<pad>"

# What LLaVA-1.5's own conversation template ("vicuna_v1") makes of turns, without the system sentence.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}USER: {% else %} ASSISTANT: {% endif %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] if part['type'] == 'image' %}<image>\n{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}</s>{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)


def processor(d: Dimensions) -> Any:
    """The real processor classes over a small tokenizer trained offline."""
    from transformers import AddedToken, LlavaProcessor

    from harness import stack
    from harness.families.tokenizers import llama_tokenizer, shipped_text

    tokenizer = llama_tokenizer(
        d.image_token,
        shipped_text(),
        padding_side="right",
        model_max_length=d.positions,
        legacy=False,
        add_bos_token=True,
    )
    tokenizer.add_tokens([AddedToken(IMAGE, special=True), AddedToken(PAD, special=True)], special_tokens=True)
    tokenizer.pad_token = PAD
    side = {"height": d.image_size, "width": d.image_size}
    images = stack.pil_image_processor("CLIPImageProcessor")(
        size={"shortest_edge": d.image_size}, crop_size=side, do_convert_rgb=True
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=d.patch,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
        image_token=IMAGE,
    )
