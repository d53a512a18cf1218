"""The tokens that stand behind Zephyr's own, and the marks of its turns, which are plain text."""

from __future__ import annotations

from harness.families.omnilmm.dimensions import Dimensions

BEGIN, END = "<s>", "</s>"
PATCH, START, STOP = "<im_patch>", "<im_start>", "<im_end>"
ADDED = (PATCH, START, STOP, "<box>", "</box>", "<ref>", "</ref>", "<quad>", "</quad>")
USER, ASSISTANT = "<|user|>\n", "<|assistant|>\n"
ROLES = {"user": USER, "assistant": ASSISTANT}
ASKED, ANSWERED = f"\n{USER}", f"\n{ASSISTANT}"  # by whose tokens labels are located


def ids(d: Dimensions) -> dict[str, int]:
    """The id of each added token."""
    return {token: d.ordinary + place for place, token in enumerate(ADDED[: d.added])}
