"""How much of a sample's length its pictures take, and the refusal of one that does not fit."""

from __future__ import annotations

from harness.refusal import Refused


def refuse_too_long(sample_id: str, tokens: int, of_pictures: int, max_length: int) -> None:
    """Raise Refused, with the numbers, for a sample that is longer than it may be: none is ever cut."""
    if tokens <= max_length:
        return
    pictures = f": {of_pictures} stand for its pictures, {tokens - of_pictures} for text" if of_pictures else ""
    raise Refused(
        f"sample {sample_id}: {tokens} tokens exceed max_length {max_length}{pictures}",
        do="raise data.max_length, or drop the sample: cutting it would cut through pictures or lose the answer",
    )
