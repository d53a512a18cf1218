"""Faults in what is learned and in what the model is given to learn it from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.faults.registry import fault
from harness.faults.where import freezes_image_path, is_minicpm, sees_images
from harness.recipe import Recipe
from harness.seams import Moment, Seam

IGNORED = -100
TEMPLATE_TOKENS = ("</s>", "<|end_header_id|>", "<end_of_turn>", "<|im_start|>")


def _first(moment: Moment) -> bool:
    """The first micro-batch of the second step."""
    return moment.at_second and moment.micro == 0


def _with_labels(batch: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**batch, "labels": batch["labels"].clone(), **changes}


def _learned_in_first_row(batch: dict[str, Any]) -> Any:
    """The places of the labels that count, in the first row."""
    return (batch["labels"][0] != IGNORED).nonzero().flatten()


@fault(Seam.BATCH, caught_by="labels_say_the_answers", finding="ExtraLabels", size="one label of one row")
def one_token_of_the_user_learned(batch: dict[str, Any], moment: Moment) -> Any:
    """In one row, the last token before the answer is learned too."""
    if not _first(moment):
        return batch
    altered = _with_labels(batch)
    at = int(_learned_in_first_row(batch)[0]) - 1
    altered["labels"][0, at] = batch["input_ids"][0, at].clamp(min=0)  # the place of a picture may have no id
    return altered


@fault(Seam.BATCH, caught_by="labels_say_the_answers", finding="ExtraLabels", size="one label of one row")
def one_token_of_padding_learned(batch: dict[str, Any], moment: Moment) -> Any:
    """In one row, the first token of its padding is learned."""
    lengths = batch["attention_mask"].sum(1)
    row = int(lengths.argmin())
    if not bool(lengths[row] < batch["labels"].shape[1]) or moment.step > 1:
        return batch
    altered = _with_labels(batch)
    altered["labels"][row, int(lengths[row])] = 0
    return altered


@fault(Seam.BATCH, caught_by="labels_say_the_answers", finding="MissingLabels", size="one label of one row")
def one_end_token_not_learned(batch: dict[str, Any], moment: Moment) -> Any:
    """In one row, the end token of the last answer is masked."""
    if not _first(moment):
        return batch
    altered = _with_labels(batch)
    altered["labels"][0, int(_learned_in_first_row(batch)[-1])] = IGNORED
    return altered


@fault(Seam.BATCH, caught_by="labels_say_the_answers", finding="NothingLearned", size="one row")
def one_sample_without_a_label(batch: dict[str, Any], moment: Moment) -> Any:
    """One sample is ignored: its answers are not found, as under another template than the prompt's."""
    if not _first(moment):
        return batch
    altered = _with_labels(batch)
    altered["labels"][0] = IGNORED
    return altered


@fault(Seam.BATCH, caught_by="labels_say_the_answers", finding="LabelsMisplaced", size="one place in one row")
def labels_of_one_row_off_by_one(batch: dict[str, Any], moment: Moment) -> Any:
    """In one row, every label stands one place too early."""
    if not _first(moment):
        return batch
    altered = _with_labels(batch)
    altered["labels"][0] = batch["labels"][0].roll(-1)
    return altered


@fault(Seam.BATCH, caught_by="labels_say_the_answers", finding="LabelsAltered", size="one label of one row")
def one_label_exchanged(batch: dict[str, Any], moment: Moment) -> Any:
    """In one row, the first label asks for the token after the one that stands there."""
    if not _first(moment):
        return batch
    altered = _with_labels(batch)
    altered["labels"][0, int(_learned_in_first_row(batch)[0])] += 1
    return altered


@fault(
    Seam.BASE_WRITTEN,
    caught_by="labels_say_the_answers",
    finding="LearnedTextDiffers",
    size="one rule of the tokenizer",
)
def tokenizer_drops_capitals(base: Path, moment: Moment) -> None:
    """The base's tokenizer makes every letter small: the model is asked to learn another text than the answers."""
    path = base / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    rules = [one for one in (tokenizer["normalizer"],) if one]
    tokenizer["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, *rules]}
    path.write_text(json.dumps(tokenizer), encoding="utf-8")
    _let_rules_be_read(base / "tokenizer_config.json")


def _let_rules_be_read(path: Path) -> None:
    """In transformers 5 Llama's class makes its rules itself and reads none; the plain class reads them."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    if settings.get("tokenizer_class") == "LlamaTokenizer":
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
        path.write_text(json.dumps(settings), encoding="utf-8")


def _has_template_tokens(recipe: Recipe) -> bool:
    """Whether the conversation template has tokens of its own: that of captions has none."""
    from harness.families import family_of

    return bool(family_of(recipe).intent(recipe).single_tokens)


@fault(
    Seam.BASE_WRITTEN,
    caught_by="template_fits_tokenizer",
    finding="TemplateTokenCutUp",
    size="the name of one token",
    applies=_has_template_tokens,
)
def one_template_token_of_another_name(base: Path, moment: Moment) -> None:
    """The base's tokenizer has another name for one token that conversations are written with, as another model's has:
    the end of an answer in LLaVA, of a turn over Gemma, of a header in MiniCPM-V 2.5, where turns open in 2.6."""
    texts = {path: path.read_text(encoding="utf-8") for path in base.glob("*token*.json")}
    held = (token for token in TEMPLATE_TOKENS if any(json.dumps(token) in text for text in texts.values()))
    token = next(held)
    for path, text in texts.items():
        path.write_text(text.replace(json.dumps(token), json.dumps(f"<other>{token}")), encoding="utf-8")


def _cut(batch: dict[str, Any], length: int) -> dict[str, Any]:
    """The batch as a loader leaves it that cuts to a length, and picture bounds to what is left."""
    rows = ("input_ids", "attention_mask", "labels", "position_ids")
    cut = {name: value[:, :length] if name in rows else value for name, value in batch.items()}
    if "image_bound" in batch:
        cut["image_bound"] = [bounds.clamp(max=length) for bounds in batch["image_bound"]]
    return cut


@fault(Seam.BATCH, caught_by="samples_whole", finding="SampleCut", size="one token of one row")
def end_of_one_batch_cut(batch: dict[str, Any], moment: Moment) -> Any:
    """The last place of one micro-batch is cut off."""
    return _cut(batch, batch["input_ids"].shape[1] - 1) if _first(moment) else batch


@fault(
    Seam.BATCH,
    caught_by="samples_whole",
    finding="PictureCut",
    size="one image token",
    applies=lambda recipe: is_minicpm(recipe) and freezes_image_path(recipe) and sees_images(recipe),
)
def one_batch_cut_within_a_picture(batch: dict[str, Any], moment: Moment) -> Any:
    """One micro-batch is cut before the last image token of its longest row, whose feature is dropped in silence."""
    if moment.step or moment.micro or not any(len(bounds) for bounds in batch["image_bound"]):
        return batch
    return _cut(batch, max(int(bounds.max()) for bounds in batch["image_bound"] if len(bounds)) - 1)


@fault(Seam.BATCH, caught_by="samples_whole", finding="SampleTooLong", size="one micro-batch")
def one_batch_longer_than_allowed(batch: dict[str, Any], moment: Moment) -> Any:
    """One micro-batch goes on until it is one token longer than the usual limit."""
    import torch

    if not _first(moment):
        return batch
    fill = {"input_ids": 5, "attention_mask": 1, "labels": IGNORED, "position_ids": 0}
    more = TOO_LONG - batch["input_ids"].shape[1]
    longer = torch.nn.functional.pad
    return {n: longer(v, (0, more), value=fill[n]) if n in fill else v for n, v in batch.items()}


TOO_LONG = 2049


@fault(Seam.BATCH, caught_by="pictures_in_order", finding="PicturesDiffer", size="two pictures", applies=sees_images)
def two_pictures_exchanged(batch: dict[str, Any], moment: Moment) -> Any:
    """The last two pictures of a micro-batch, or the last two parts of one that is cut up, change places."""
    pixels = batch.get("pixel_values")
    if pixels is None or not len(pixels):
        return batch
    if "target_sizes" in batch:
        return {**batch, **_exchanged_in_a_row(pixels, batch["target_sizes"])}
    if not isinstance(pixels, list):
        return {**batch, "pixel_values": pixels[_exchanged(len(pixels))]}
    order = [_exchanged(len(row)) for row in pixels]
    sizes = [one[places] if len(places) else one for one, places in zip(batch["tgt_sizes"], order, strict=True)]
    rows = [[row[place] for place in places] for row, places in zip(pixels, order, strict=True)]
    return {**batch, "pixel_values": rows, "tgt_sizes": sizes}


def _exchanged_in_a_row(pixels: Any, sizes: Any) -> dict[str, Any]:
    """The same where the patches of all pictures lie in one row."""
    import torch

    parts = pixels.split((sizes.prod(1) * pixels.shape[2]).tolist(), dim=-1)
    order = _exchanged(len(parts))
    return {"pixel_values": torch.cat([parts[place] for place in order], dim=-1), "target_sizes": sizes[order]}


def _exchanged(count: int) -> list[int]:
    """The places of so many pictures, the last two exchanged."""
    places = list(range(count))
    return [*places[:-2], *reversed(places[-2:])]
