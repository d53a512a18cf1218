"""LLaVA with a parameter that its authors keep fixed inside a module that is trained, as MiniCPM-V 2.0 has one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.families.llava import Llava
from harness.families.llava.dimensions import PUBLISHED_7B
from harness.families.promises import Tables


@dataclass(frozen=True)
class Fixed(Llava):
    """A LLaVA whose connector begins with a bias that never trains."""

    def tables(self, size: str) -> Tables:
        return replace(super().tables(size), fixed=(r"multi_modal_projector\.linear_1\.bias",))


FIXED = Fixed("llava-fixed", PUBLISHED_7B)
