"""The configurations of Mini-Gemini: those of its language models, and what its two vision towers need beside them.

Which class a directory is of follows from its model type, whatever the directory is called.
"""

from __future__ import annotations

from typing import Any

from transformers import CLIPVisionConfig, GemmaConfig, LlamaConfig, MixtralConfig

STRIDE_OF_STEM = 4  # of the ConvNeXt: the side of its first stage is that of the picture over this
PROJECTOR = "mlp2x_gelu"
DEFAULTS = {
    "vision_aux_channels": [192, 384, 768, 1536],
    "vision_aux_depths": [3, 3, 27, 3],
    "drop_path": True,
    "drop_path_rate": 0.1,
    "image_size_aux": 320,
    "image_grid": 1,
    "image_global": False,
    "mm_projector_type": "linear",
    "mm_vision_select_layer": -1,
}
OWN = (*DEFAULTS, "vision_config")


def _parted(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of the towers, and the language model's."""
    own = {name: value for name, value in given.items() if name in OWN}
    return own, {name: value for name, value in given.items() if name not in OWN}


class _MiniGemini:
    """What Mini-Gemini adds to a language model's configuration.

    `image_grid` is how many times a picture is cut along each side, `image_global` whether it is also seen whole.
    Without `drop_path` the second tower has no stochastic depth, which it would keep in train mode even when frozen.
    """

    sub_configs = {"vision_config": CLIPVisionConfig}  # noqa: RUF012
    vision_config: CLIPVisionConfig
    vision_aux_channels: list[int]
    vision_aux_depths: list[int]
    drop_path: bool
    drop_path_rate: float
    image_size_aux: int
    image_grid: int
    image_global: bool
    mm_projector_type: str
    mm_vision_select_layer: int

    def _see(self, given: dict[str, Any]) -> None:
        """Take the settings of the towers; what is not given is as the published scripts' own defaults."""
        for name, default in DEFAULTS.items():
            setattr(self, name, given.get(name, default))
        self.vision_config = _clip(given.get("vision_config"))

    @property
    def mm_hidden_size(self) -> int:
        width: int = self.vision_config.hidden_size
        return width

    @property
    def mm_hidden_size_aux(self) -> int:
        return sum(self.vision_aux_channels)

    @property
    def patches_along_a_side(self) -> int:
        side: int = self.vision_config.image_size // self.vision_config.patch_size
        return side

    @property
    def tokens_of_a_picture(self) -> int:
        """How many features stand for one picture: 576, or 2880 for one that is cut in four and seen whole too."""
        views: int = self.image_grid**2 + self.image_global
        return views * self.patches_along_a_side**2

    def refuse_what_cannot_work(self) -> None:
        """Raise ValueError, with the remedy, for settings under which no picture can be encoded."""
        if self.mm_projector_type != PROJECTOR:
            raise ValueError(
                f"mm_projector_type {self.mm_projector_type}: the mined patches take dtype and device from the first "
                f"layer of a Sequential; set mm_projector_type: {PROJECTOR}"
            )
        patches = self.patches_along_a_side * self.image_grid
        if self.image_size_aux % (STRIDE_OF_STEM * patches):
            raise ValueError(
                f"image_size_aux {self.image_size_aux} and a CLIP tower of {self.patches_along_a_side} patches a side, "
                f"image_grid {self.image_grid}: {self.image_size_aux} / {STRIDE_OF_STEM} is no multiple of {patches}; "
                f"set image_size_aux to a multiple of {STRIDE_OF_STEM * patches}"
            )


def _clip(given: dict[str, Any] | CLIPVisionConfig | None) -> CLIPVisionConfig:
    if isinstance(given, CLIPVisionConfig):
        return given
    return CLIPVisionConfig(**{name: value for name, value in (given or {}).items() if name != "model_type"})


class MGMConfig(_MiniGemini, LlamaConfig):
    """Over Llama and Vicuna, and over Yi, which is a Llama."""

    model_type = "mini_gemini"

    def __init__(self, **kwargs: Any) -> None:
        own, rest = _parted(kwargs)
        super().__init__(**rest)
        self._see(own)


class MGMGemmaConfig(_MiniGemini, GemmaConfig):
    """Over Gemma."""

    model_type = "mini_gemini_gemma"

    def __init__(self, **kwargs: Any) -> None:
        own, rest = _parted(kwargs)
        super().__init__(**rest)
        self._see(own)


class MGMMixtralConfig(_MiniGemini, MixtralConfig):
    """Over Mixtral."""

    model_type = "mini_gemini_mixtral"

    def __init__(self, **kwargs: Any) -> None:
        own, rest = _parted(kwargs)
        super().__init__(**rest)
        self._see(own)
