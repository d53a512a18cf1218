"""The picture is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.needs import Images, Probe
from harness.checks.registry import check
from harness.result import Finding

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class PixelsIgnored(Finding):
    """Outputs that are the same whatever the picture shows."""


@check(
    "other pixels give other outputs",
    source="agent-lightning #559, trl #5904: images were dropped on the way and training went on",
    needs=[Images, Probe(probe="other_pixels")],
)
def pixels_matter(intent: Intent, trace: Trace) -> Iterator[Finding]:
    probe = trace.probe("other_pixels")
    assert probe is not None
    if probe["images"] and float(probe["largest_difference"]) == 0:
        yield PixelsIgnored(
            expected="logits that change with the picture",
            seen="bit-equal logits for a picture and its negative",
            where="the image path of the trained model",
            cause="image features do not reach the language model, or the connector gives the same for every picture",
        )
    for name, difference in probe.get("further", {}).items():
        if float(difference) == 0:
            yield PixelsIgnored(
                expected=f"logits that change with the picture that is given as {name}",
                seen="bit-equal logits for it and its negative",
                where=f"the way of {name} through the trained model",
                cause="what the further tower makes of it is dropped, or the same for every picture",
            )
