"""MiniCPM-V 2.6 as a family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from harness.families.fed import Batches
from harness.families.minicpm import refusals
from harness.families.minicpm.batches import MiniCPMBatches
from harness.families.minicpm.family import MiniCPM
from harness.families.minicpm.templates import QWEN
from harness.families.minicpm.v26 import processing, tokens
from harness.families.minicpm.v26.configuration import configuration
from harness.families.minicpm.v26.dimensions import PUBLISHED, TINY
from harness.families.promises import Tables
from harness.recipe import Recipe


@dataclass(frozen=True)
class MiniCPM26(MiniCPM):
    """MiniCPM-V 2.6: text may stand beside pictures in a batch, and pictures have numbers."""

    library_modules: tuple[str, ...] = (
        "transformers.models.qwen2.modeling_qwen2",
        "transformers.models.siglip.modeling_siglip",
        "transformers.models.auto.modeling_auto",
        "transformers.models.auto.processing_auto",
        "transformers.image_processing_utils",
        "transformers.tokenization_utils_fast",
    )
    text_beside_images: bool = True
    fed_by: ClassVar[Batches] = MiniCPMBatches(QWEN)
    llm_type: ClassVar[str] = QWEN.name
    tiny: ClassVar[Any] = TINY
    model_code: ClassVar[str] = "harness.families.minicpm.v26.code_files.modeling_minicpmv"
    rules: ClassVar[tuple[Callable[[Recipe], None], ...]] = refusals.OF_2_6

    def configuration(self, d: Any) -> Any:
        return configuration(d)

    def tables(self, d: Any) -> Tables:
        single = (tokens.OPEN, tokens.CLOSE)
        return replace(super().tables(d), single_tokens=single, attention=("vision", "language"))

    def special_ids(self) -> dict[str, Any]:
        ids = tokens.ids(TINY)
        ends = [ids[tokens.CLOSE], ids[tokens.PAD]]
        return {"bos_token_id": ids[tokens.PAD], "eos_token_id": ends, "pad_token_id": ids[tokens.PAD]}

    def feeding_parts(self) -> tuple[Any, Any]:
        return processing.image_processor(TINY), processing.tokenizer(TINY)

    def code_files(self) -> list[Path]:
        return processing.code_files()


MINICPM_V_2_6 = MiniCPM26("minicpm-v-2.6", PUBLISHED, "SigLIP-400M, sliced and numbered pictures and Qwen 2 7B")
