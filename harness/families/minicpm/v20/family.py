"""MiniCPM-V 2.0 as a family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from harness.families.family import Handles
from harness.families.fed import Batches
from harness.families.minicpm import modes, refusals
from harness.families.minicpm.batches import MiniCPMBatches
from harness.families.minicpm.family import MiniCPM
from harness.families.minicpm.templates import MINICPM
from harness.families.minicpm.v20 import names, processing
from harness.families.minicpm.v20.configuration import configuration
from harness.families.minicpm.v20.dimensions import PUBLISHED, TINY, Dimensions
from harness.families.promises import Tables
from harness.recipe import Recipe


@dataclass(frozen=True)
class MiniCPM20(MiniCPM):
    """MiniCPM-V 2.0, whose samples are put together one by one: text may stand beside pictures in a batch."""

    library_modules: tuple[str, ...] = (
        "transformers.models.llama.modeling_llama",
        "transformers.models.auto.modeling_auto",
        "transformers.models.auto.processing_auto",
        "transformers.image_processing_utils",
        "transformers.tokenization_utils_fast",
    )
    text_beside_images: bool = True
    handles: ClassVar[Handles] = names.HANDLES
    fed_by: ClassVar[Batches] = MiniCPMBatches(MINICPM)
    llm_type: ClassVar[str] = MINICPM.name
    tiny: ClassVar[Any] = TINY
    model_code: ClassVar[str] = "harness.families.minicpm.v20.code_files.modeling_minicpmv"
    rules: ClassVar[tuple[Callable[[Recipe], None], ...]] = refusals.OF_ONE_DICT

    def configuration(self, d: Dimensions) -> Any:
        return configuration(d)

    def tables(self, d: Dimensions) -> Tables:
        return names.tables(d)

    def special_ids(self) -> dict[str, Any]:
        return {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}

    def feeding_parts(self) -> tuple[Any, Any]:
        return processing.image_processor(TINY), processing.tokenizer(TINY)

    def code_files(self) -> list[Path]:
        return processing.code_files()

    def modes(self) -> dict[str, dict[str, Any]]:
        return modes.OF_2_0


MINICPM_V_2 = MiniCPM20("minicpm-v-2", PUBLISHED, "timm's SigLIP-400M, sliced pictures and MiniCPM 2.4B")
