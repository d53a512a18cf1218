"""Mini-Gemini's train script, `mgm/train/train.py`, in the order in which its flags take effect.

The three `vlm_uni` blocks are made after all freezing and train under every flag. `freeze_backbone` does not reach an
output layer of its own; `freeze_mm_mlp_adapter` wins over `tune_mm_mlp_adapter`, and nobody is told.
"""

from __future__ import annotations

from typing import Any

from harness.intents.commands import hf_arguments
from harness.intents.commands.flags import Flag, Flags, silent
from harness.intents.commands.shell import Command
from harness.refusal import Refused

NAME, ABOUT = "mini-gemini", "Mini-Gemini's, mgm/train/train.py"
OWN: dict[str, Flag] = {
    "model_name_or_path": Flag("the family, by words of the path as the script chooses its class"),
    "tune_mm_mlp_adapter": Flag("the projector trains, and nothing else that was there before", "bool", False),
    "freeze_mm_mlp_adapter": Flag("the projector is frozen, whatever else is said", "bool", False),
    "freeze_backbone": Flag("the language model is frozen, but for an output layer of its own", "bool", False),
    "optimize_vision_tower": Flag("CLIP's layers 12 to 23 train", "bool", False),
    "optimize_vision_tower_aux": Flag("the last block of each of ConvNeXt's stages trains", "bool", False),
    "lora_enable": Flag("adapters on every linear layer of the language model", "bool", False),
    "lora_r": Flag("their rank", "int", 64),
    "lora_alpha": Flag("their alpha", "int", 16),
    "lora_dropout": Flag("their dropout", "float", 0.05),
    "lora_bias": Flag("which biases train with them", "text", "none"),
    "mm_projector_lr": Flag("the rate of what has mm_projector in its name", "float"),
    "lr_multi": Flag("rates of names, as multiples; --mm_projector_lr wins over it"),
    "bits": Flag("weights in so many bits", "int", 16),
    "image_grid": Flag("the family's high resolution", "int"),
    **silent("version", "vision_tower", "vision_tower_aux", "pretrain_mm_mlp_adapter", "mm_projector_type",
             "mm_vision_select_layer", "mm_vision_select_feature", "image_size_aux", "image_aspect_ratio", "data_path",
             "image_folder", "image_grid_pinpoints", "model_max_length", "quant_type", "lora_weight_path",
             "mpt_attn_impl", "input_size_aux"),
    **silent("mm_use_im_start_end", "mm_use_im_patch_token", "image_global", "lazy_preprocess", "is_multimodal",
             "drop_path", "double_quant", "group_by_modality_length", "freeze_backbone_llm", kind="bool"),
}  # fmt: skip
TABLE = {**hf_arguments.TABLE, **OWN}
LLAMA = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
MIXTRAL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate", "w1", "w2", "w3")
CLASSES = {"2b": "MGMGemmaForCausalLM", "8x7b": "MGMMixtralForCausalLM"}
BLOCKS = "vlm_uni_{query,aux,val}_projector"
TOWER = "model.vision_tower.vision_tower.vision_model.encoder.layers.{12..23}"
TOWER_AUX = (
    "model.vision_tower_aux.vision_stages.{0,1,3}.blocks.2",
    "model.vision_tower_aux.vision_stages.2.blocks.26",
)


def is_its(command: Command) -> bool:
    return "mgm" in command.program.lower() or any(
        word.startswith(("--optimize_vision_tower", "--vision_tower_aux", "--image_size_aux"))
        for word in command.arguments
    )


def member(flags: Flags) -> str:
    """Which model it is: the class by the words that the script looks for, in its order, the size by the path."""
    path = str(flags["model_name_or_path"] or "").lower()
    if "mistral" in path:
        what = "--model_name_or_path: 'mistral' in the path makes the script choose the Mistral class"
        raise Refused(what, where="--from-command", do="name the folder otherwise; no family here is of that class")
    if "mixtral" in path:
        return "8x7b"
    if "gemma" in path:
        return "2b"
    known = (("13b", "13b"), ("34b", "34b"), ("yi", "34b"), ("llama-3", "8b"), ("llama3", "8b"), ("8b", "8b"))
    return next((size for word, size in known if word in path), "7b")


def intent(flags: Flags, command: Command) -> dict[str, Any]:
    """What the flags promise, as settings of an intent file."""
    size = member(flags)
    settings = hf_arguments.settings_of(flags, command)
    adapters = flags["lora_enable"] and not flags["tune_mm_mlp_adapter"]
    rates = _rates(flags)
    if settings["optimizer"] and rates:
        settings["optimizer"]["rate_factors"] = rates
    return {
        "family": f"mini-gemini-{size}{'-hd' if flags['image_grid'] and flags['image_grid'] > 1 else ''}",
        "trainable": _trainable(flags, tied=size == "2b"),
        "adapters": _adapters(flags, MIXTRAL if size == "8x7b" else LLAMA) if adapters else "none",
        "precision": _precision(flags),
        **settings,
        "save": _save(flags, size),
    }


def _trainable(flags: Flags, tied: bool) -> list[str]:
    alone, lora = flags["tune_mm_mlp_adapter"], flags["lora_enable"]
    trains = [BLOCKS] if flags["freeze_mm_mlp_adapter"] else ["connector"]
    if not alone and not lora:
        trains += ["llm"] if not flags["freeze_backbone"] else [] if tied else ["lm_head"]
    if alone and flags["mm_use_im_start_end"] and not tied:
        trains.append("embeddings")
    trains += [TOWER] if flags["optimize_vision_tower"] else []
    return trains + ([*TOWER_AUX] if flags["optimize_vision_tower_aux"] else [])


def _adapters(flags: Flags, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "components": ["language"],
        "targets": rf"model\.layers\.\d+\..*\b(?:{'|'.join(names)})",
        "rank": flags["lora_r"],
        "alpha": flags["lora_alpha"],
        "dropout": flags["lora_dropout"],
        "bias": flags["lora_bias"],
    }


def _precision(flags: Flags) -> str | None:
    """Weights are loaded in bf16 where that is asked for; else towers are in fp16 and the rest is in fp32."""
    if flags["bits"] in (4, 8):
        flags.not_judged("bf16", "weights are quantized")
        flags.not_judged("bits", "no check knows weights of so few bits")
        return None
    flags.not_judged("fp16", "towers are kept in fp16 and the rest in fp32: no one precision")
    return "pure-bf16" if flags["bf16"] else None


def _rates(flags: Flags) -> dict[str, float]:
    """How many times the rate names have: the projector's own rate, which wins silently, or the multiples."""
    base = flags["learning_rate"]
    if flags["mm_projector_lr"] and base:
        flags.not_judged("lr_multi", "--mm_projector_lr wins over it, silently")
        return {"mm_projector": flags["mm_projector_lr"] / base}
    if not flags["lr_multi"]:
        return {}
    pairs = [one.partition(":") for one in flags["lr_multi"].split(",")]
    try:
        return {name.replace(".", r"\."): float(factor) for name, _, factor in pairs}
    except ValueError:
        what = f"--lr_multi {flags['lr_multi']}: is no list of name:factor"
        raise Refused(what, where="--from-command", do="write model.mm_projector:2,model.vlm_uni:2") from None


def _save(flags: Flags, size: str) -> dict[str, Any]:
    """A first stage's file has the towers too: its keys are chosen by words in names. An adapter has no tokenizer."""
    if flags["tune_mm_mlp_adapter"]:
        return {"what": "projector", "tokenizer": False, "holds": ["connector", "vision", "vision_aux"]}
    if flags["lora_enable"]:
        return {"what": "adapter", "tokenizer": False, "beside_adapter": "non_lora_trainables.bin"}
    return {"what": "full", "model": CLASSES.get(size, "MGMLlamaForCausalLM"), "tokenizer": True}
