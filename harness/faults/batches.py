"""Faults in what the model is given."""

from __future__ import annotations

from typing import Any

from harness.faults.registry import fault
from harness.faults.where import PATCHES, has_tower, sees_images
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def _has_rows(recipe: Recipe) -> bool:
    return recipe.data.batch_size > 1


@fault(
    Seam.BATCH,
    caught_by="samples_in_order",
    finding="SampleSubstituted",
    size="one sample",
    applies=_has_rows,
)
def one_sample_substituted(batch: dict[str, Any], moment: Moment) -> Any:
    """One sample of one micro-batch is replaced by its neighbour, as loaders do with one they cannot read."""
    from harness.trace.nested import mapped

    if not moment.at_second or moment.micro != 0:
        return batch
    altered = mapped(batch, lambda tensor: tensor.clone())
    text = _row_without_image(altered)
    begins_with_words = bool(altered["input_ids"][text, 1] >= 0)  # and with no place of a picture that no id is for
    at = 0 if begins_with_words else int(altered["attention_mask"][text].sum()) - 2
    for name in ("input_ids", "attention_mask", "labels"):
        altered[name][text, at] = altered[name][text, at + 1]
    return altered


def _row_without_image(batch: dict[str, Any]) -> int:
    """The row with the fewest tokens: the one of text, where there is one."""
    return int(batch["attention_mask"].sum(1).argmin())


@fault(Seam.BATCH, caught_by="labels_present", finding="NoLabels", size="the labels of one micro-batch")
def labels_of_one_batch_masked(batch: dict[str, Any], moment: Moment) -> Any:
    """All labels of one micro-batch but none of the others are masked; its loss is set to be finite."""
    if not moment.at_second or moment.micro != 0:
        return batch
    return {**batch, "labels": batch["labels"].new_full(batch["labels"].shape, -100)}


@fault(
    Seam.AFTER_BUILD,
    caught_by="pixels_matter",
    finding="PixelsIgnored",
    size="one module's output",
    applies=lambda recipe: sees_images(recipe) and has_tower(recipe),
)
def image_features_zeroed(model: Any, moment: Moment) -> None:
    """The vision tower's embeddings are the same for every picture."""
    patch = next(module for path, module in model.named_modules() if path.endswith(PATCHES))
    patch.register_forward_hook(lambda _module, _inputs, output: output * 0)
