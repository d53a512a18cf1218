"""How far two runs may be apart of which one was made on another device: a CPU and a GPU, or two kinds of GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.comparator.tolerances import Tolerances
    from harness.trace.reader import Trace

FURTHER = 10.0
ORIGIN = (
    "ten times what kernels of two CPUs may differ by: a GPU fuses multiplications with additions and computes exp,"
    " erf and square roots by other series, each within two units in the last place; set before a GPU was measured"
)
TF32 = "TF32 keeps ten bits of what is multiplied, as fp16 does: the tolerances of 16 bits"


def kind_of(trace: Trace) -> str:
    """What a trace was made on, as it says itself: the type of the device, and of a GPU its name."""
    known: dict[str, Any] = trace.header.get("environment") or {}
    name = (known.get("gpu") or {}).get("name")
    return f"{known.get('device', 'cpu')}{f' ({name})' if name else ''}"


def unlike(one: Trace, other: Trace) -> bool:
    """Whether two traces were made on devices of two kinds."""
    return kind_of(one) != kind_of(other)


def in_tf32(trace: Trace) -> bool:
    """Whether products of fp32 were computed with ten bits: only a GPU does what is allowed."""
    known: dict[str, Any] = trace.header.get("environment") or {}
    return known.get("device", "cpu") != "cpu" and bool(known.get("tf32"))


def further_apart(tolerances: Tolerances) -> Tolerances:
    """The tolerances of fp32 between two devices."""
    of = {
        name: replace(one, relative=one.relative * FURTHER, reach=min(one.reach * FURTHER, 2.1), origin=ORIGIN)
        for name, one in tolerances.of.items()
    }
    return replace(tolerances, name="computed in fp32 on two devices", of=of)


def drawn_apart(one: Trace, other: Trace) -> Iterator[str]:
    """What is drawn on a device at each step is drawn otherwise on another: dropout."""
    adapters = [(trace.header.get("recipe") or {}).get(kind) or {} for trace in (one, other) for kind in _ADAPTERS]
    if unlike(one, other) and any(adapter.get("dropout") for adapter in adapters):
        yield f"dropout is drawn otherwise on another device: {kind_of(one)} and {kind_of(other)}"


_ADAPTERS = ("lora", "adapter")
