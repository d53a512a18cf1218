"""Choosing the samples of a run by kind, in an order that never varies."""

from __future__ import annotations

from hashlib import blake2b
from itertools import cycle
from typing import TYPE_CHECKING

from harness.data.sample import DIGEST_BYTES
from harness.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.data.sample import Sample
    from harness.recipe.fields import SampleKind


def select(samples: Sequence[Sample], mix: Sequence[SampleKind], count: int) -> tuple[Sample, ...]:
    """Place i holds the next sample of kind `mix[i % len(mix)]`; each kind goes round in file order."""
    if not mix:
        raise Refused("the mix names no kind", where="data.mix", do="name at least one kind of sample")
    by_kind: dict[SampleKind, list[Sample]] = {}
    for sample in samples:
        by_kind.setdefault(sample.kind, []).append(sample)
    _require_kinds(mix, by_kind)
    following = {kind: cycle(members) for kind, members in by_kind.items()}
    return tuple(next(following[mix[place % len(mix)]]) for place in range(count))


def digest(samples: Iterable[Sample]) -> str:
    """A hash of the samples and their order."""
    joined = "".join(sample.digest() for sample in samples)
    return blake2b(joined.encode("ascii"), digest_size=DIGEST_BYTES).hexdigest()


def _require_kinds(mix: Sequence[SampleKind], available: Iterable[SampleKind]) -> None:
    present = sorted(available)
    missing = sorted(set(mix).difference(present))
    if missing:
        raise Refused(
            f"no sample is of kind {', '.join(missing)}; there are {', '.join(present) or 'no samples'}",
            where="data.mix",
            do="take the kind out of the mix or add such a sample",
        )
