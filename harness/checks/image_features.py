"""Every image token gets the feature of its picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.needs import DataPromise, Images, Need, Probe
from harness.checks.registry import check
from harness.result import Finding, Reason
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class FeatureCountDiffers(Finding):
    """More or fewer features than there are image tokens for them."""


class FeaturesMisplaced(Finding):
    """Image tokens in whose places the language model is given something else than their features."""


@dataclass(frozen=True)
class _InPlace(Need):
    """Features of pictures stand in the places of tokens of their own."""

    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.features_in_place else Reason.FEATURES_ELSEWHERE


InPlace = _InPlace()


@check(
    "there is one feature for every image token, and it stands in that token's place",
    source="MiniCPM-V #128, #538: src and index differ in size; trl #5904: images were dropped on the way",
    needs=[Images, InPlace, DataPromise, Probe(probe="together")],
)
def image_features_in_place(intent: Intent, trace: Trace) -> Iterator[Finding]:
    probe = trace.probe("together")
    assert probe is not None
    tokens, features, in_place = (probe["pictures"][name] for name in ("tokens", "features", "in_place"))
    where = f"a batch of {listed(probe['names'])}"
    if tokens != features:
        yield FeatureCountDiffers(
            expected=f"one feature for each of {count(tokens, 'image token')}",
            seen=count(features, "feature"),
            where=where,
            cause="the processor repeats the image token by another count than the model makes features, and the rest"
            " is dropped",
            do="compare the image sizes and counts of the processor's configuration with the model's",
        )
    elif in_place != tokens:
        yield FeaturesMisplaced(
            expected=f"{count(tokens, 'feature')} in the places of their image tokens, in order",
            seen=f"{in_place} stand there",
            where=where,
            cause="features are written to other places, in another order, or altered on the way",
        )
