"""Samples reach the model whole and within their limit: no text cut off, and no picture cut or exchanged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from harness.checks.data_rows import micro_batches
from harness.checks.needs import Images, _DataPromise
from harness.checks.registry import check
from harness.result import Finding
from harness.wording import count

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class SampleCut(Finding):
    """A sample that lost its end on the way to the model."""


class PictureCut(Finding):
    """A sample that was cut within its pictures' tokens or before them."""


class SampleTooLong(Finding):
    """A sample longer than the run allows."""


class PicturesDiffer(Finding):
    """Pictures that are not those of the samples, or not in their order."""


@dataclass(frozen=True)
class _Announced(_DataPromise):
    """The samples' lengths and pictures were announced."""

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        if missing := super().missing(intent, trace):
            return missing
        return None if "pixels" in trace.of("data")[0] else "lengths and pictures were not announced"


ANNOUNCED = _Announced()


@check(
    "no sample is cut, and none is longer than it may be with its pictures",
    source="MiniCPM-V #128, #538: truncation cut inside a picture's tokens; #523: length 11533 exceeds 1024",
    needs=[ANNOUNCED],
)
def samples_whole(intent: Intent, trace: Trace) -> Iterator[Finding]:
    found = list(_of_lengths(intent, trace))
    for kind in dict.fromkeys(type(finding) for finding in found):
        yield next(finding for finding in found if type(finding) is kind)


def _of_lengths(intent: Intent, trace: Trace) -> Iterator[Finding]:
    data = trace.of("data")[0]
    promised = zip(data["samples"], data["lengths"], data["pictures"], strict=True)
    for place, (micro, rows) in enumerate(zip(micro_batches(trace), promised, strict=False)):
        for row, (seen, name, length, pictures) in enumerate(zip(micro["lengths"], *rows, strict=False)):
            tokens = sum(end - start for start, end in pictures)
            where = f"micro-batch {place}, row {row}: sample {name}"
            size = f"{count(length, 'token')}, {tokens} of them for pictures"
            lost = sum(max(0, end - max(start, seen)) for start, end in pictures)
            if lost:
                yield PictureCut(size, f"{count(seen, 'token')}: {lost} of its pictures' are gone", where, _CUT, _DO)
            elif seen < length:
                yield SampleCut(size, count(seen, "token"), where, _CUT, _DO)
            if intent.max_length and seen > intent.max_length:
                cause = "the limit on length is not kept where batches are made"
                yield SampleTooLong(f"at most {intent.max_length} tokens", count(seen, "token"), where, cause)


_CUT = "batches are cut to a length that does not count the pictures' tokens"
_DO = "drop samples that are too long, or allow more tokens; never cut them"


@check(
    "every micro-batch holds the pictures of its samples, in their order",
    source="MiniCPM-V #602, #587: pictures and image tokens of one sample told apart by their order alone",
    needs=[Images, ANNOUNCED],
)
def pictures_in_order(intent: Intent, trace: Trace) -> Iterator[Finding]:
    data = trace.of("data")[0]
    seen = [micro.get("pixels") for micro in micro_batches(trace)]
    promised = data["pixels"] if trace.closed else data["pixels"][: len(seen)]
    pairs = enumerate(zip_longest(seen, promised))
    wrong = [place for place, (was, should) in pairs if was != should]
    for place in wrong[:1]:
        names = data["samples"][place] if place < len(promised) else []
        yield PicturesDiffer(
            expected=f"the pictures of {', '.join(names) or 'no sample'}",
            seen="other pixels, or the same in another order"
            + (f", and at {len(wrong) - 1} more micro-batches" if len(wrong) > 1 else ""),
            where=f"micro-batch {place}",
            cause="pictures were exchanged, left out or encoded again between the samples and the model",
        )
