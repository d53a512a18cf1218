"""The special tokens: Llama 3's, MiniCPM-V's in slots that Llama 3 had reserved, and the slots still free."""

from __future__ import annotations

from harness.families.minicpm.dimensions import Dimensions

BEGIN, END, UNKNOWN = "<|begin_of_text|>", "<|end_of_text|>", "<unk>"
HEADER, HEADER_END, TURN_END = "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"
IMAGE, IMAGE_END, SLICE, SLICE_END = "<image>", "</image>", "<slice>", "</slice>"
PICTURE = "(<image>./</image>)"  # in a prompt: the processor puts in its place what the picture's size asks for
PAD = "!"  # the first ordinary token, which padding is told from by the attention mask alone

LLAMA = {0: BEGIN, 1: END, 6: HEADER, 7: HEADER_END, 9: TURN_END}
MINICPM = {
    **{2: UNKNOWN, 10: IMAGE, 11: IMAGE_END, 20: SLICE, 21: SLICE_END},
    **{12: "<ref>", 13: "</ref>", 14: "<box>", 15: "</box>"},
    **{16: "<quad>", 17: "</quad>", 18: "<point>", 19: "</point>"},
}


def special(d: Dimensions) -> list[str]:
    """Every slot's token, in the order of the ids."""
    free = iter(range(d.reserved))
    named = {slot: LLAMA.get(slot) or f"<|reserved_special_token_{next(free)}|>" for slot in range(d.reserved)}
    return [MINICPM.get(slot, name) for slot, name in named.items()]


def ids(d: Dimensions) -> dict[str, int]:
    """The id of each special token, and of the one that pads."""
    return {PAD: 0, **{token: d.ordinary + slot for slot, token in enumerate(special(d))}}
