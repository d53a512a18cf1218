"""The special tokens of MiniCPM-V 2.6: Qwen 2's, then MiniCPM-V's, then some that nothing uses."""

from __future__ import annotations

from harness.families.minicpm.dimensions import Dimensions

PAD, OPEN, CLOSE, UNKNOWN = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<unk>"
SPECIAL = (
    *(PAD, OPEN, CLOSE, "<image>", "</image>", "<ref>", "</ref>", "<box>", "</box>"),
    *("<quad>", "</quad>", "<point>", "</point>", "<slice>", "</slice>", "<image_id>", "</image_id>"),
    *(f"<|reserved_special_token_{number}|>" for number in range(6)),
)


def ids(d: Dimensions) -> dict[str, int]:
    """The id of each special token."""
    return {token: d.ordinary + slot for slot, token in enumerate(SPECIAL)}
