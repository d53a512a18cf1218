"""The names of MiniMind's parts. In memory they are those of the checkpoint: nothing is renamed.

Head and embeddings are one tensor in every generation: it is a part of the model once, as the embeddings.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.families.family import Handles
from harness.families.minimind.dimensions import Dimensions
from harness.families.promises import Tables


@dataclass(frozen=True)
class Names:
    """What the parts of a generation are called."""

    prefix: str
    embeddings: str
    head: str
    projections: tuple[str, str, str, str]  # of queries, outputs, keys and values
    vision: bool = False

    @property
    def components(self) -> tuple[tuple[str, str], ...]:
        pictures = ((r"vision_encoder\.", "vision"), (r"vision_proj\.", "connector")) if self.vision else ()
        return (
            *pictures,
            (rf"(?:{self.prefix}{self.embeddings}|{self.head})\.", "embeddings"),
            (rf"{self.prefix}(?:layers|norm)\.", "language"),
        )

    @property
    def layers(self) -> dict[str, str]:
        pictures = {"vision": r"vision_encoder\.(?:vision_model\.)?encoder\.layers\.{layer}\."} if self.vision else {}
        return {**pictures, "language": rf"{self.prefix}layers\.{{layer}}\."}

    @property
    def tied(self) -> tuple[str, str]:
        plain = self.prefix.replace("\\", "")
        return f"{plain}{self.embeddings}.weight", f"{self.head}.weight"

    @property
    def not_in_native(self) -> str:
        """The encoder is made anew from its own directory."""
        return r"vision_encoder\." if self.vision else ""

    @property
    def handles(self) -> Handles:
        components = {
            "language": rf"{self.prefix}(?:layers|norm)$",
            "embeddings": rf"{self.prefix}{self.embeddings}$",
        }
        layers = {"language": rf"{self.prefix}layers$"}
        saved: dict[str, str | tuple[str, ...]] = {"embeddings": self.embeddings}
        if self.vision:
            components |= {"vision": r"vision_encoder$", "connector": r"vision_proj$"}
            layers["vision"] = r"vision_encoder\.(?:vision_model\.)?encoder\.layers$"
            saved["connector"] = "vision_proj"
        return Handles(
            components=components, layers=layers, saved_with_adapter=saved, not_in_native=self.not_in_native or None
        )

    def tables(self, d: Dimensions, model_class: str, vision_layers: int, auxiliary_loss: bool) -> Tables:
        """The published facts of a size that an intent is made from."""
        depth = {"language": d.layers, **({"vision": vision_layers} if self.vision else {})}
        return Tables(
            components=self.components,
            renames=RENAMES if self.vision else (),
            layers=self.layers,
            depth=depth,
            out_of_reach=(r"vision_encoder\.head\.",) if self.vision else (),
            ties=(self.tied,),
            model_class=model_class,
            processor_class=None,
            auxiliary_loss=auxiliary_loss,
            not_in_native=(self.not_in_native,) if self.vision else (),
            padding=("left", "right") if self.prefix else ("right",),  # before the third, no padding is masked
        )


# The tower's own wrapper is there in some releases of the library and not in others.
RENAMES = ((r"^vision_encoder\.(?!vision_model\.)", "vision_encoder.vision_model."),)
EARLY = Names("", "tok_embeddings", "output", ("wq", "wo", "wk", "wv"))
LATE = Names(r"model\.", "embed_tokens", "lm_head", ("q_proj", "o_proj", "k_proj", "v_proj"))
SEEING = Names(r"model\.", "embed_tokens", "lm_head", ("q_proj", "o_proj", "k_proj", "v_proj"), vision=True)
