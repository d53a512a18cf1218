"""The smallest faults that a saved directory can have, each with the check that must see it and what it must say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from tests.checkpoint.inspecting.conftest import in_json, in_shard
from tests.checkpoint.inspecting.damaging import (
    INDEX,
    a_second_copy,
    a_token_more,
    both_matrices,
    cut,
    cut_last,
    drop,
    entry,
    head_of_its_own,
    header_length,
    leave_a_shard_out,
    one_byte_of_a_header,
    one_inf,
    remove,
    rename,
    say_untied,
    tensor,
    under_other_names,
    without_prefix,
)


@dataclass(frozen=True)
class Damage:
    """What is done to a directory, and what has to be said of it: the kinds of findings by check, and a word."""

    of: str
    do: Callable[[Path], object]
    says: dict[str, str]
    word: str
    warning: bool = False
    without_base: bool = False
    hashes: bool = False


NEXT_TO = "vision_tower.vision_model.encoder.layers.0.layer_norm1.bias"
Q = "self_attn.q_proj.weight"
DAMAGES = {
    # -- files and shards
    "a shard without its last byte": Damage("llava", cut, {"inspect.readable": "Unreadable"}, "is damaged"),
    "a header with one byte changed": Damage(
        "llava", one_byte_of_a_header, {"inspect.readable": "Unreadable"}, "is damaged"
    ),
    "a header longer than its file": Damage(
        "llava", header_length, {"inspect.readable": "Unreadable"}, "truncated or no safetensors"
    ),
    "a configuration cut off": Damage(
        "llava",
        lambda d: (d / "generation_config.json").write_text("{"),
        {"inspect.readable": "Unreadable"},
        "no JSON object",
    ),
    "a shard that was not copied": Damage(
        "llava",
        leave_a_shard_out,
        {"inspect.shards": "ShardsDisagree", "inspect.keys": "KeysMissing"},
        "there is no such file",
    ),
    "a tensor that the index promises": Damage(
        "llava",
        drop(NEXT_TO, index=False),
        {"inspect.shards": "ShardsDisagree", "inspect.keys": "KeysMissing"},
        "no shard holds it",
    ),
    "an older file left behind": Damage(
        "llava", a_second_copy, {"inspect.shards": "ShardsDisagree"}, "and so does another file"
    ),
    "an index that was not copied": Damage(
        "llava", remove(INDEX), {"inspect.shards": "ShardsDisagree", "inspect.files": "RoleMissing"}, "no index"
    ),
    "a total of another save": Damage(
        "llava",
        entry(INDEX, lambda v: v["metadata"].update(total_size=v["metadata"]["total_size"] + 4)),
        {"inspect.shards": "ShardsDisagree"},
        "total_size",
        warning=True,
    ),
    # -- keys, names, shapes
    "one tensor not saved": Damage("llava", drop(NEXT_TO), {"inspect.keys": "KeysMissing"}, NEXT_TO),
    "one tensor not saved, without a base": Damage(
        "llava", drop(NEXT_TO), {"inspect.keys": "KeysMissing"}, NEXT_TO, without_base=True
    ),
    "one tensor not saved of a model with its own code": Damage(
        "minicpm", drop("resampler.query"), {"inspect.keys": "KeysMissing"}, "resampler.query"
    ),
    "one tensor under a name of nobody's": Damage(
        "llava",
        rename(NEXT_TO, lambda key: f"{key}s"),
        {"inspect.keys": "KeysMissing KeysUnexpected"},
        "1 tensor more",
    ),
    "one tensor under the name of another release": Damage(
        "llava",
        rename(NEXT_TO, lambda key: key.replace("vision_model.", "")),
        {"inspect.names": "OtherNames"},
        "under other names",
        warning=True,
    ),
    "one row less": Damage(
        "llava",
        tensor("multi_modal_projector.linear_1.weight", lambda t: t[:-1]),
        {"inspect.shapes": "OtherShape"},
        "63 x 64 and not 64 x 64",
    ),
    "one row less, without a base": Damage(
        "llava",
        tensor("multi_modal_projector.linear_1.weight", lambda t: t[:-1]),
        {"inspect.shapes": "OtherShape"},
        "63 x 64 and not 64 x 64",
        without_base=True,
    ),
    "one row more than the configuration says": Damage(
        "llava",
        tensor("embed_tokens.weight", lambda t: torch.cat([t, t[:1]])),
        {"inspect.shapes": "OtherShape", "inspect.configuration": "ConfigurationDiffers"},
        "577 x 64 and not 576 x 64",
    ),
    "a layer less than the configuration says": Damage(
        "minicpm",
        entry("config.json", lambda v: v.update(num_hidden_layers=3)),
        {"inspect.configuration": "ConfigurationDiffers"},
        "num_hidden_layers 2",
    ),
    "another hidden size in the configuration": Damage(
        "minicpm",
        entry("config.json", lambda v: v.update(hidden_size=64)),
        {"inspect.configuration": "ConfigurationDiffers"},
        "hidden_size 128",
        without_base=True,
    ),
    # -- dtypes, ties, values
    "one matrix in another dtype": Damage(
        "llava", tensor(Q, lambda t: t.bfloat16()), {"inspect.dtypes": "MixedDtypes"}, "1 in BF16", warning=True
    ),
    "another dtype in the configuration": Damage(
        "llava",
        entry("config.json", lambda v: v.update(dtype="bfloat16")),
        {"inspect.dtypes": "OtherDtype"},
        "BF16, as config.json says",
        warning=True,
    ),
    "a tied output layer that is one bit apart": Damage(
        "minimind", head_of_its_own, {"inspect.ties": "TieBroken"}, "two that differ in value"
    ),
    "an untied model without its output layer": Damage(
        "llava", drop("lm_head.weight"), {"inspect.ties": "HeadMissing"}, "at random"
    ),
    "a tied model that says it is not": Damage(
        "minimind",
        entry("config.json", say_untied),
        {"inspect.ties": "HeadMissing"},
        "tie_word_embeddings is false",
        without_base=True,
    ),
    "one infinite value": Damage(
        "llava", tensor("norm.weight", one_inf), {"inspect.values": "NotFinite"}, "1 tensor with", hashes=True
    ),
    # -- tokens, processors, templates
    "a token without a row": Damage(
        "llava", entry("tokenizer.json", a_token_more), {"inspect.vocabulary": "BeyondVocabulary"}, "<new> 576"
    ),
    "a pad token without a row": Damage(
        "llava",
        entry("generation_config.json", lambda v: v.update(pad_token_id=576)),
        {"inspect.vocabulary": "BeyondVocabulary"},
        "pad_token_id 576",
    ),
    "an image token of another id": Damage(
        "llava",
        entry("config.json", lambda v: v.update(image_token_index=514)),
        {"inspect.vocabulary": "OtherToken"},
        "<image> is 512 to the tokenizer",
        without_base=True,
    ),
    "an end token of another id than in the base": Damage(
        "llava",
        entry("generation_config.json", lambda v: v.update(eos_token_id=1)),
        {"inspect.vocabulary": "OtherToken"},
        "</s> is 2",
        warning=True,
    ),
    "a processor of another class": Damage(
        "llava",
        entry("processor_config.json", lambda v: v.update(processor_class="CLIPProcessor")),
        {"inspect.processor": "OtherProcessor"},
        "LlavaProcessor",
        without_base=True,
    ),
    "an image processor of another class than in the base": Damage(
        "llava",
        entry(
            "processor_config.json", lambda v: v["image_processor"].update(image_processor_type="SiglipImageProcessor")
        ),
        {"inspect.processor": "OtherProcessor"},
        "SiglipImageProcessor",
    ),
    "no processor, without a base": Damage(
        "llava",
        lambda d: (
            remove("processor_config.json")(d),
            in_json(d, "tokenizer_config.json", lambda v: v.pop("processor_class")),
        ),
        {"inspect.files": "RoleMissing RoleMissing"},
        "LlavaProcessor",
        without_base=True,
    ),
    "a tokenizer where the processor was": Damage(
        "minicpm",
        remove("preprocessor_config.json"),
        {"inspect.files": "RoleMissing RoleMissing"},
        "AutoProcessor will fall back to the tokenizer",
    ),
    "code that was not copied": Damage(
        "minicpm", remove("resampler.py"), {"inspect.code": "CodeDefect"}, "modeling_minicpmv.py needs it"
    ),
    "another chat template": Damage(
        "llava",
        lambda d: (d / "chat_template.jinja").write_text("{{ messages }}"),
        {"inspect.chat_template": "OtherTemplate"},
        "another one",
        warning=True,
    ),
    "no chat template": Damage(
        "llava", remove("chat_template.jinja"), {"inspect.files": "RoleMissing"}, "refuse every conversation"
    ),
    "another model's configuration": Damage(
        "llava",
        entry("config.json", lambda v: v.update(model_type="mistral3")),
        {"inspect.model": "OtherModel"},
        "mistral3",
    ),
    # -- adapters
    "an adapter under other names": Damage(
        "minicpm adapter", under_other_names, {"inspect.adapter": "AdapterMisfit"}, "rename its keys: base_model.model."
    ),
    "an adapter without the prefix": Damage(
        "llava adapter",
        lambda d: in_shard(d, "lora_A.weight", without_prefix),
        {"inspect.adapter": "AdapterMisfit"},
        "put base_model.model. before each",
    ),
    "a target that meets nothing": Damage(
        "llava adapter",
        entry("adapter_config.json", lambda v: v["target_modules"].append("gate")),
        {"inspect.adapter": "TargetUnmet"},
        "gate among its targets",
        warning=True,
    ),
    "another rank in the configuration": Damage(
        "llava adapter",
        entry("adapter_config.json", lambda v: v.update(r=8)),
        {"inspect.ranks": "OtherRank"},
        "has 4 and not 8",
    ),
    "one module of another rank": Damage(
        "llava adapter",
        lambda d: in_shard(d, "lora_A.weight", both_matrices),
        {"inspect.ranks": "OtherRank"},
        "has 2 and not 4",
    ),
    "one matrix without the other": Damage(
        "llava adapter",
        lambda d: in_shard(d, "lora_B.weight", lambda t: [t.pop(min(k for k in t if "lora_B" in k))]),
        {"inspect.ranks": "HalfAdapter"},
        "1 module with one of them",
    ),
    "a rank pattern that meets nothing": Damage(
        "llava adapter",
        entry("adapter_config.json", lambda v: v["alpha_pattern"].update({"model.v_proj": 1})),
        {"inspect.ranks": "TargetUnmet"},
        "alpha_pattern: model.v_proj",
        warning=True,
    ),
    "a module to save that was not": Damage(
        "llava adapter",
        lambda d: in_shard(d, "lora_A.weight", lambda t: [t.pop(k) for k in list(t) if "multi_modal" in k]),
        {"inspect.beside": "BesideMissing"},
        "multi_modal_projector not there",
    ),
    "added tokens and no rows for them": Damage(
        "llava adapter",
        entry("tokenizer.json", a_token_more),
        {"inspect.beside": "BesideMissing", "inspect.vocabulary": "BeyondVocabulary"},
        "the base has 576",
    ),
    "a base that is not there": Damage(
        "llava adapter",
        entry("adapter_config.json", lambda v: v.update(base_model_name_or_path="/models/vicuna")),
        {"inspect.base": "OtherBase"},
        "/models/vicuna, where there is nothing",
        warning=True,
    ),
    "an adapter cut off": Damage(
        "llava adapter",
        lambda d: cut_last(d / "adapter_model.safetensors"),
        {"inspect.readable": "Unreadable"},
        "is damaged",
    ),
}
