"""Faults that show only beside padding, in company, or where pictures meet the text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.families import family
from harness.faults.registry import fault
from harness.faults.where import freezes_image_path, is_minicpm, sees_images
from harness.recipe import Recipe
from harness.seams import Moment, Seam

SHARE = 1e-2


def _is_given_a_mask(recipe: Recipe) -> bool:
    """Whether padding before a sample is masked, by the family's own tables: MiniCPM-V gave its language model no
    attention mask to begin with, and MiniMind's first generations take none."""
    return "left" in family(recipe.family).intent(recipe).padding


def _counts_image_tokens(recipe: Recipe) -> bool:
    """MiniMind-V's code places what fits the runs that it finds, and says nothing of the rest."""
    return not is_minicpm(recipe) and not recipe.family.startswith("minimind")


def _cuts_pictures(recipe: Recipe) -> bool:
    """Whether code files write the places of a picture's features, so many for each of its parts."""
    return is_minicpm(recipe) and sees_images(recipe)


def _masks_patches(recipe: Recipe) -> bool:
    """Whether the tower is told by a mask which patches only fill a batch: 2.0 looks at pictures one by one, and 2.6 is
    told their sizes."""
    return recipe.family == "minicpm-llama3-v-2.5" and sees_images(recipe)


def _language_model(model: Any) -> Any:
    """The module that is given the embeddings: the one that has them, and layers."""
    names = ({"layers", "embed_tokens"}, {"layers", "tok_embeddings"})
    return next(m for m in model.modules() if any(both <= set(m._modules) for both in names))


def _last_layer(model: Any) -> Any:
    return _language_model(model).layers[-1]


def _tensor(output: Any) -> Any:
    return output[0] if isinstance(output, tuple) else output


def _leans(output: Any, towards: Any) -> Any:
    """A layer's output with a small share of something else added."""
    return (_tensor(output) + SHARE * towards, *output[1:]) if isinstance(output, tuple) else output + SHARE * towards


@fault(Seam.AFTER_BUILD, caught_by="padding_right_harmless", finding="PaddingMatters", size="one layer's output")
def one_layer_sees_what_follows(model: Any, moment: Moment) -> None:
    """The last layer adds a hundredth of the mean over all places, padding among them."""
    _last_layer(model).register_forward_hook(
        lambda _module, _inputs, output: _leans(output, _tensor(output).mean(1, keepdim=True))
    )


@fault(
    Seam.AFTER_BUILD,
    caught_by="padding_left_harmless",
    finding="PaddingMatters",
    size="one argument",
    applies=_is_given_a_mask,
)
def attention_mask_ignored(model: Any, moment: Moment) -> None:
    """The language model is not given the attention mask: padding before a sample is attended to."""
    _language_model(model).register_forward_pre_hook(
        lambda _module, args, kwargs: (args, {**kwargs, "attention_mask": None}), with_kwargs=True
    )


@fault(Seam.AFTER_BUILD, caught_by="batch_composition_harmless", finding="CompanyMatters", size="one layer's output")
def one_layer_sees_the_batch(model: Any, moment: Moment) -> None:
    """The last layer adds a hundredth of the mean over the samples of the batch."""
    _last_layer(model).register_forward_hook(
        lambda _module, _inputs, output: _leans(output, _tensor(output).mean(0, keepdim=True))
    )


@fault(
    Seam.AFTER_BUILD,
    caught_by="batch_composition_harmless",
    finding="CompanyMatters",
    size="one argument",
    applies=_masks_patches,
)
def padding_of_patches_seen(model: Any, moment: Moment) -> None:
    """The tower takes the patches that pad a picture to the longest of its batch for patches of the picture."""

    def all_real(_module: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        mask = kwargs.get("patch_attention_mask")
        return (args, kwargs) if mask is None else (args, {**kwargs, "patch_attention_mask": mask | True})

    model.vpm.register_forward_pre_hook(all_real, with_kwargs=True)


@fault(
    Seam.AFTER_BUILD,
    caught_by="image_features_in_place",
    finding="FeaturesMisplaced",
    size="two features of one picture",
    applies=sees_images,
)
def two_features_exchanged(model: Any, moment: Moment) -> None:
    """The language model is given the features of two neighbouring image tokens in each other's place."""

    places = LATER_PLACES if getattr(model.config, "use_image_id", False) else PLACES

    def exchange(_module: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        embeddings = kwargs["inputs_embeds"].clone()
        if embeddings.shape[1] > places[-1]:
            embeddings[:, list(places)] = embeddings[:, list(reversed(places))]
        return args, {**kwargs, "inputs_embeds": embeddings}

    _language_model(model).register_forward_pre_hook(exchange, with_kwargs=True)


HELD_PLACE = -200  # where the places of features are held by no token
PLACES = (20, 21)  # inside a picture of a sample that is probed, in every family
LATER_PLACES = (26, 27)  # where a sentence stands before all: MiniCPM-V 2.6, which numbers its pictures too


@fault(
    Seam.BASE_WRITTEN,
    caught_by="image_features_in_place",
    finding="FeatureCountDiffers",
    size="one image token for each part of a picture",
    applies=lambda recipe: _cuts_pictures(recipe) and freezes_image_path(recipe),
)
def one_image_token_too_few(base: Path, moment: Moment) -> None:
    """The processor writes one image token fewer for each part of a picture: its last feature is dropped in silence.

    Where the connector trains, its gradient has another shape than its features, and torch raises.
    """
    path = base / "preprocessor_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["image_feature_size"] -= 1
    path.write_text(json.dumps(settings), encoding="utf-8")


def _image_token(model: Any) -> int:
    """What holds the places of pictures: a token of the configuration or of the tower's, or an id of no token."""
    if (token := getattr(model.config, "image_token_id", None)) is not None:
        return int(token)
    settings = getattr(model.model, "vision_config", None)
    return HELD_PLACE if settings is None else int(settings.im_end_token)


@fault(
    Seam.BATCH,
    caught_by="run.completed",
    finding="RunEnded",
    size="one image token",
    applies=lambda recipe: _counts_image_tokens(recipe) and sees_images(recipe),
)
def one_image_token_replaced(batch: dict[str, Any], moment: Moment) -> Any:
    """One image token of a micro-batch is another token: the library refuses to place the features."""
    if not moment.at_second or moment.micro != 0:
        return batch
    token = _image_token(moment.model)
    ids = batch["input_ids"].clone()
    row, place = (ids == token).nonzero()[0].tolist()
    ids[row, place] = ids[row, 0]
    return {**batch, "input_ids": ids}
