"""MiniMind's own LoRA as an adapter method: on every square linear layer, no scaling, saved as factors in fp16."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.families.family import OwnAdapter
from harness.families.minimind.dimensions import Dimensions
from harness.families.minimind.names import Names
from harness.families.minimind.processing import CODE as CODE_FILES
from harness.intent import AdapterIntent, Intent
from harness.recipe import Adapter
from harness.refusal import Refused

if TYPE_CHECKING:
    from torch import nn

METHOD = "minimind-lora"
CODE = "model_lora.py"
RANK = 16  # upstream's default: 16, then 8 from April 2025, then 16 again from March 2026


def adapter(file: str) -> OwnAdapter:
    return OwnAdapter(_attach, _tensors, file, CODE_FILES)


def rank_of(adapter: Adapter) -> int:
    rank: int = adapter.options.get("rank", RANK)
    return rank


def _attach(model: nn.Module, adapter: Adapter) -> nn.Module:
    """Factors beside every square layer; what trains is told by `lora` in its name."""
    from harness.families.minimind.code_files.model_lora import apply_lora

    refuse_square_factors(rank_of(adapter), {layer.in_features for layer in square_layers(model)})
    apply_lora(model, rank_of(adapter))
    for path, parameter in model.named_parameters():
        parameter.requires_grad_("lora" in path)
    return model


def square_layers(model: nn.Module) -> list[nn.Linear]:
    from torch import nn

    return [m for m in model.modules() if isinstance(m, nn.Linear) and m.in_features == m.out_features]


def refuse_square_factors(rank: int, widths: set[int]) -> None:
    """Raise Refused for a rank at which the first factor is a square layer itself, and so is its own, without end."""
    if rank in widths:
        raise Refused(
            f"adapter.options.rank {rank} is the width of a square layer: the first factor would be square too, and be "
            "given factors of its own, until torch raises a RecursionError",
            do="choose another rank",
        )


def _tensors(model: nn.Module) -> dict[str, Any]:
    from harness.families.minimind.code_files.model_lora import lora_tensors

    return lora_tensors(model)


def squares(d: Dimensions, names: Names) -> str:
    """The square projections as an expression: queries and outputs where the heads are as wide as the model together,
    keys and values where theirs are."""
    wide = names.projections[:2] if d.heads * d.head_dim == d.hidden else ()
    narrow = names.projections[2:] if d.key_value_heads * d.head_dim == d.hidden else ()
    return rf"{names.prefix}layers\.\d+\.\w+\.(?:{'|'.join((*wide, *narrow)) or '(?!)'})"


def promised(intent: Intent, d: Dimensions, names: Names, file: str) -> Intent:
    """The intent of a recipe with this adapter: where it sits is not for the recipe to say."""
    asked = intent.adapter
    if asked is None or asked.method != METHOD:
        return intent
    refuse_square_factors(int(asked.numbers["r"]), {d.hidden})
    placed: AdapterIntent = asked.model_copy(update={"targets": squares(d, names)})
    saved = {"half": True, "own_format": True, "native_file": file}
    return intent.model_copy(update={"adapter": placed, "save": intent.save.model_copy(update=saved)})
