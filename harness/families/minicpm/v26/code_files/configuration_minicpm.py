"""The configuration of MiniCPM-V 2.6: Qwen 2's own, and what the vision tower and the resampler need."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig, Qwen2Config, SiglipVisionConfig


class MiniCPMVSliceConfig(PretrainedConfig):
    """How a large picture is cut: at most so many slices, each of about `scale_resolution` squared pixels."""

    model_type = "minicpmv"

    def __init__(
        self, patch_size: int = 14, max_slice_nums: int = 9, scale_resolution: int = 448, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.patch_size = patch_size
        self.max_slice_nums = max_slice_nums
        self.scale_resolution = scale_resolution


class MiniCPMVConfig(Qwen2Config):
    """The language model's settings at the top level, the others beside them."""

    model_type = "minicpmv"
    sub_configs = {"vision_config": SiglipVisionConfig, "slice_config": MiniCPMVSliceConfig}  # noqa: RUF012

    def __init__(
        self,
        query_num: int = 64,
        image_size: int = 448,
        patch_size: int = 14,
        drop_vision_last_layer: bool = False,
        batch_vision_input: bool = True,
        use_image_id: bool = True,
        slice_mode: bool = True,
        vision_batch_size: int = 16,
        version: float = 2.6,
        slice_config: dict[str, Any] | PretrainedConfig | None = None,
        vision_config: dict[str, Any] | PretrainedConfig | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.query_num = query_num
        self.image_size = image_size
        self.patch_size = patch_size
        self.drop_vision_last_layer = drop_vision_last_layer
        self.batch_vision_input = batch_vision_input
        self.use_image_id = use_image_id
        self.slice_mode = slice_mode
        self.vision_batch_size = vision_batch_size
        self.version = version
        self.slice_config = _made(slice_config, MiniCPMVSliceConfig)
        self.vision_config = _made(vision_config, SiglipVisionConfig)


def _made(given: dict[str, Any] | PretrainedConfig | None, kind: type[PretrainedConfig]) -> PretrainedConfig:
    """The configuration of that kind. Its model type is the class's: libraries have named the tower's differently."""
    if isinstance(given, PretrainedConfig):
        return given
    return kind(**{name: value for name, value in (given or {}).items() if name != "model_type"})
