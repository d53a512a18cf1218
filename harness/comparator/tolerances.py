"""How far apart what two traces saw may be, field by field, and why so far.

A difference is none if |a - b| <= absolute + relative * scale + reach * the optimizer's reach. The scale is the largest
magnitude of the two arrays or numbers; of gradient norms the largest of their step, for some parameters (a key's bias)
have gradients of nothing but rounding. The reach is the sum of the learning rates of the steps taken: Adam makes of the
smallest gradient a step of nearly that size, so that an element whose gradient is rounding goes either way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.comparator import devices

if TYPE_CHECKING:
    from harness.trace.reader import Record, Trace

GRADIENTS = ("gradient norm at backward", "gradient norm at unscale", "gradient norm at optimizer")
# What is a digest of bits: a difference of it has no size, and other fields carry the values themselves.
BITS = frozenset(
    (
        "weights",
        "final weights",
        "optimizer state",
        "final optimizer state",
        "random state",
        "saved tensor",
        "saved file",
        "pixels",
        "drawn value",  # other kernels round a uniform number otherwise: measured, 393 of 768 elements, by one bit
    )
)
NUMBERS = (
    "loss",
    "value of backward",
    "norm that was clipped",
    *GRADIENTS,
    "weights' mean square",
    "weights' peak",
    "final values",
    "outputs",
)


@dataclass(frozen=True)
class Tolerance:
    """The largest difference that is none, and where that figure comes from. After the first step `later` is added to
    what is relative."""

    relative: float = 0.0
    absolute: float = 0.0
    reach: float = 0.0
    origin: str = "bits are promised"
    later: float = 0.0

    def allows(self, apart: float, scale: float, reach: float, step: int | None = None) -> bool:
        relative = self.relative + (self.later if step else 0.0)
        return apart <= self.absolute + relative * scale + self.reach * reach


EXACT = Tolerance()


@dataclass(frozen=True)
class Tolerances:
    """Tolerances of all fields. A field that is not named is equal or not: learning rates, counts, classes, which step
    was skipped. What is `left_out` says nothing about agreement, and is only asked to be there on both sides."""

    name: str
    of: Mapping[str, Tolerance] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()

    def tolerance(self, name: str) -> Tolerance | None:
        return None if name in self.left_out else self.of.get(name, EXACT)


BITWISE = Tolerances("bit for bit")
_MEASURED = (
    "three times what the shipped recipes of LLaVA and MiniCPM-V differ by where kernels add in another order (AVX2 and"
    " plain C++)"
)
_ADAM = "an element whose gradient is nothing but rounding goes a whole step of Adam's either way"


def _table(origin: str, **relative: float) -> dict[str, Tolerance]:
    named = {"loss": "loss", "backward": "value of backward", "clipped": "norm that was clipped", "outputs": "outputs"}
    found = {named[short]: Tolerance(share, origin=origin) for short, share in relative.items() if short in named}
    return {**found, **{name: Tolerance(relative["gradients"], origin=origin) for name in GRADIENTS}}


FP32 = Tolerances(
    "computed in fp32, kernels may add in another order",
    {
        **_table(_MEASURED, loss=1e-6, backward=6e-6, clipped=1e-5, gradients=5e-5, outputs=5e-5),
        "weights' mean square": Tolerance(reach=0.05, origin=_MEASURED),
        "weights' peak": Tolerance(reach=0.05, origin=_MEASURED),
        "final values": Tolerance(reach=0.3, origin=_MEASURED),
    },
    BITS,
)
COMPUTED_IN_16_BITS = Tolerances(
    "computed in 16 bits over fp32 weights, kernels may add in another order",
    {
        **_table(_MEASURED, loss=1.2e-3, backward=2e-3, gradients=0.1, outputs=0.1),
        # Over drawn recipes 0.054 at a second step, of a model that trains whole: as much as of its parameters' norms.
        "norm that was clipped": Tolerance(0.03, later=0.07, origin=_MEASURED),
        "weights' mean square": Tolerance(reach=0.25, origin=_MEASURED),
        "weights' peak": Tolerance(reach=1.7, origin=_MEASURED),
        "final values": Tolerance(reach=2.1, origin=_ADAM),
    },
    BITS | {"generated ids"},
)
# One rounding decides whether a step moves such a weight at all: measured, runs part by as much as values are large.
WEIGHTS_IN_16_BITS = Tolerances(
    "weights in 16 bits: rounding decides about each step, numbers say nothing",
    {},
    BITS | {"generated ids", *NUMBERS},
)


def across_stacks(one: Trace, other: Trace) -> Tolerances:
    """The tolerances for equal runs on different stacks (libraries, devices, thread counts), by how they compute."""
    low = {"bfloat16", "float16"}
    if any(p.dtype in low for trace in (one, other) for p in trace.parameters if p.requires_grad):
        return WEIGHTS_IN_16_BITS
    kinds = (kinds for trace in (one, other) for event in trace.of("forward") for kinds in _dtypes(event))
    if any(low.intersection(dtypes) for dtypes in kinds):
        return COMPUTED_IN_16_BITS
    if devices.in_tf32(one) or devices.in_tf32(other):
        return replace(COMPUTED_IN_16_BITS, name=devices.TF32)
    return devices.further_apart(FP32) if devices.unlike(one, other) else FP32


def of_another_precision(low: Trace, experts: bool) -> Tolerances:
    """The tolerances for a run `low` that computes in 16 bits over fp32 weights, beside the same in fp32.

    The first step starts from the same weights; steps after it follow what rounding left, and Adam magnifies that. In
    units of the dtype's rounding, measured over drawn recipes: losses up to a tenth at the first step and 0.7 later,
    gradients 1.3 and 2.5. Where tokens go to experts, to others for a unit of rounding, 1 and 3, and norms 16.
    """
    short = any("bfloat16" in dtypes for event in low.of("forward") for dtypes in _dtypes(event))
    unit, times = 2.0**-8 if short else 2.0**-11, 2.0 if experts else 1.0

    def units(first: float, later: float) -> Tolerance:
        at_first = first + later if experts else first
        return Tolerance(times * at_first * unit, later=times * later * unit, origin=f"units of {unit:g}, measured")

    measured = {
        **{name: units(0.25, 4) for name in ("loss", "value of backward")},
        **{name: units(5, 20) for name in GRADIENTS},
        "norm that was clipped": units(8, 8),
    }
    of = {**COMPUTED_IN_16_BITS.of, **measured}
    return Tolerances("computed in 16 bits and in fp32", of, COMPUTED_IN_16_BITS.left_out)


def _dtypes(forward: Record) -> Collection[list[str]]:
    """The dtypes of each kind of module; a forward that computed as the one before it does not repeat them."""
    found: dict[str, list[str]] = forward.get("dtypes") or {}
    return found.values()
