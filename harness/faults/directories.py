"""Faults in a whole directory: files that are missing, disagree, are pickled, or belong to another model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.faults.registry import fault
from harness.faults.where import by_expression, saves, saves_processor, saves_whole, ships_code
from harness.recipe import Recipe
from harness.seams import Moment, Seam

PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
IMPORTED = ("resampler.py", "towers.py", "LMConfig.py", "model_minimind.py")
INDEX = "model.safetensors.index.json"
OWN_GENERATION = ("minimind-v1", "minimind-v2")  # whose code generates by itself and reads no settings for it


def _saves_whole_with_processor(recipe: Recipe) -> bool:
    return saves_whole(recipe) and saves_processor(recipe)


def _saves_whole_with_code(recipe: Recipe) -> bool:
    return saves_whole(recipe) and ships_code(recipe)


def _saves_shards(recipe: Recipe) -> bool:
    return saves_whole(recipe) and recipe.save.max_shard_size == "auto"


@fault(
    Seam.BASE_WRITTEN,
    caught_by="base_directory_sound",
    finding="BaseBroken",
    size="one tensor",
)
def one_base_tensor_missing(directory: Path, moment: Moment) -> None:
    """One tensor is missing from a shard of the directory that training starts from."""
    from safetensors.torch import load_file, save_file

    shard = sorted(directory.glob("*.safetensors"))[0]
    tensors = load_file(shard)
    del tensors[sorted(tensors)[0]]
    save_file(tensors, shard, metadata={"format": "pt"})


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_directory_complete",
    finding="FileMissing",
    size="one file",
    applies=saves_whole,
)
def generation_configuration_missing(directory: Path, moment: Moment) -> None:
    """The directory has no generation configuration."""
    (directory / "generation_config.json").unlink()


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_directory_complete",
    finding="CodeMissing",
    size="one file",
    applies=_saves_whole_with_code,
)
def one_code_file_missing(directory: Path, moment: Moment) -> None:
    """A code file that another one imports, or the configuration names, is not there."""
    next(path for name in IMPORTED if (path := directory / name).exists()).unlink()


@fault(
    Seam.AFTER_SAVE,
    caught_by="processor_reloads",
    finding="ProcessorLost",
    size="one call of save_pretrained",
    applies=_saves_whole_with_processor,
)
def tokenizer_saved_instead_of_processor(directory: Path, moment: Moment) -> None:
    """The trainer saves the model and the tokenizer, and nothing of the processor, as published ones do."""
    for name in (*PROCESSOR_FILES, *(path.name for path in directory.glob("*process*.py"))):
        (directory / name).unlink(missing_ok=True)
    edit(directory / "tokenizer_config.json", _forget_processor)


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_files_agree",
    finding="FilesDisagree",
    size="one entry",
    applies=_saves_shards,
)
def one_index_entry_astray(directory: Path, moment: Moment) -> None:
    """The index looks for one tensor in another shard than holds it."""

    def astray(index: dict[str, Any]) -> None:
        places = index["weight_map"]
        key = sorted(places)[0]
        places[key] = next(file for file in sorted(places.values()) if file != places[key])

    edit(directory / INDEX, astray)


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_files_agree",
    finding="FilesDisagree",
    size="one file",
    applies=_saves_shards,
)
def index_of_shards_missing(directory: Path, moment: Moment) -> None:
    """There are shards, and no index that says which tensor is in which."""
    for index in directory.glob("*.index.json"):
        index.unlink()


@fault(Seam.AFTER_SAVE, caught_by="nothing_pickled", finding="Pickled", size="one file", applies=saves)
def one_pickle_beside(directory: Path, moment: Moment) -> None:
    """A few tensors more lie beside the weights in a file of torch.save."""
    import torch

    torch.save({"extra": torch.zeros(1)}, directory / "vpm_resampler_embedtokens.pt")


@fault(
    Seam.AFTER_SAVE,
    caught_by="reloaded_generation_equal",
    finding="GenerationDiffers",
    size="one setting",
    applies=lambda recipe: saves_whole(recipe) and not recipe.family.startswith(OWN_GENERATION),
)
def every_token_ends_generation(directory: Path, moment: Moment) -> None:
    """The saved generation configuration takes any token for the end."""
    rows = moment.model.get_input_embeddings().weight.shape[0]
    edit(directory / "generation_config.json", lambda settings: settings.update(eos_token_id=list(range(rows))))


@fault(
    Seam.AFTER_SAVE,
    caught_by="vocabulary_covers_ids",
    finding="IdBeyondVocabulary",
    size="one token id",
    applies=_saves_whole_with_processor,
)
def one_token_id_beyond_the_vocabulary(directory: Path, moment: Moment) -> None:
    """The saved generation configuration pads with an id that the embeddings have no row for."""
    rows = moment.model.get_input_embeddings().weight.shape[0]
    edit(directory / "generation_config.json", lambda settings: settings.update(pad_token_id=rows))


@fault(
    Seam.AFTER_SAVE,
    caught_by="chat_template_kept",
    finding="TemplateChanged",
    size="one character",
    applies=_saves_whole_with_processor,
)
def one_character_more_in_the_chat_template(directory: Path, moment: Moment) -> None:
    """The saved chat template ends in a blank more."""
    file = directory / "chat_template.jinja"
    file.write_text(file.read_text(encoding="utf-8") + " ", encoding="utf-8")


def _adds_tokens_and_saves_whole(recipe: Recipe) -> bool:
    """Whether tokens are added, and the weights saved whole. Over a base there are as many rows as the tokenizer has
    tokens: what was trained of more does not fit, and nothing loads to be looked at."""
    return bool(recipe.add_tokens) and _saves_whole_with_processor(recipe)


@fault(
    Seam.AFTER_SAVE,
    caught_by="embeddings_resized",
    finding="EmbeddingsNotGrown",
    size="one token",
    applies=_adds_tokens_and_saves_whole,
)
def one_added_token_lost(directory: Path, moment: Moment) -> None:
    """The saved tokenizer does not have the last of the added tokens."""
    lost: list[str] = []

    def forget_last(tokenizer: dict[str, Any]) -> None:
        lost.append(tokenizer["added_tokens"].pop()["content"])

    def forget_name(settings: dict[str, Any]) -> None:
        decoder = settings.get("added_tokens_decoder", {})
        for key in [key for key, token in decoder.items() if token["content"] in lost]:
            del decoder[key]

    edit(directory / "tokenizer.json", forget_last)
    edit(directory / "tokenizer_config.json", forget_name)


def _fits_no_plain_llama(recipe: Recipe) -> bool:
    """Whether the adapter's modules have paths of the system's own; those of Mini-Gemini are those of its Llama."""
    saved = recipe.saves == "adapter" and not recipe.save.loader
    return saved and by_expression(recipe) and not recipe.family.startswith("mini-gemini")


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_directory_loads",
    finding="WrongBase",
    size="one path",
    applies=_fits_no_plain_llama,
)
def adapter_names_another_base(directory: Path, moment: Moment) -> None:
    """The adapter's configuration names a plain Llama as its base."""
    from transformers import LlamaConfig, LlamaForCausalLM

    other = directory.with_name("another-base")
    config = LlamaConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=1, vocab_size=32
    )
    LlamaForCausalLM(config).save_pretrained(other)
    edit(directory / "adapter_config.json", lambda settings: settings.update(base_model_name_or_path=str(other)))


def _forget_processor(settings: dict[str, Any]) -> None:
    settings.pop("processor_class", None)
    if isinstance(auto_map := settings.get("auto_map"), dict):
        auto_map.pop("AutoProcessor", None)


def edit(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    settings = json.loads(file.read_text(encoding="utf-8"))
    change(settings)
    file.write_text(json.dumps(settings), encoding="utf-8")
