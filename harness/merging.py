"""Layer 3, making side. An adapter and the base it was trained over, saved as one whole model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.checkpoint.repair import repair
from harness.refusal import Refused

if TYPE_CHECKING:
    from harness.families import Family


def merged_into(directory: Path, family: Family, base: Path, adapter: Path) -> None:
    """Write the base with the adapter merged in, its processor, and what else the base directory has.

    Raises Refused where merging changes nothing: then the adapter was trained for nothing, or is another model's.
    """
    import peft
    import torch

    loaded = family.load(base, torch.float32)
    before = {path: value.clone() for path, value in loaded.model.state_dict().items()}
    model = peft.PeftModel.from_pretrained(loaded.model, str(adapter)).merge_and_unload()
    after = model.state_dict()
    if all(torch.equal(value, after[path]) for path, value in before.items()):
        raise Refused(
            f"start_from.merge: merged, {adapter} changes nothing of {base}",
            do="look at what the adapter was trained on, and for how long",
        )
    model.save_pretrained(directory)
    loaded.processor.save_pretrained(directory)
    repair(directory, base)
