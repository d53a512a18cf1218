"""The one rule by which a configuration of any type is made small, by the names that settings have in the library.

What makes an architecture stays: one layer of every kind, key-value heads that are fewer than heads where they were,
experts of which some are chosen, sections of rotary positions, ties, how pictures are cut into patches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

HIDDEN, HEADS, HEAD, FEED_FORWARD, LAYERS, VOCABULARY = 64, 2, 32, 96, 2, 1024
EXPERTS, CHOSEN = 4, 2

# What changes with the sizes, and how the tiny ones are on the same side of it.
THRESHOLDS = (
    "every kind of layer is there: attention in full, in windows, linear; dense and with experts",
    "key and value heads are fewer than heads where they were",
    "some experts are chosen, not all",
    "the embeddings have rows that no token uses",
    "a tower has layers below the one whose features are taken",
    "sections of rotary positions keep their proportions",
)

_SIZES: tuple[tuple[str, int], ...] = (
    (
        r"hidden_size|d_model|embed_dim|n_embd|text_hidden_size|encoder_hidden_size|vision_hidden_size|out_hidden_size"
        r"|word_embed_proj_dim|projection_dim|projection_hidden_(size|dim)|projector_hidden_size"
        r"|hidden_dim|output_dim|projector_(input|output)_dim|text_embed_dim|image_text_hidden_size|decoder_hidden_size"
        r"|moe_hidden_size|merged_hidden_size|mm_embed_dim|output_proj_dims|image_token_embed_dim|adapter_(in|out)_dim"
        r"|aligner_hidden_size",
        HIDDEN,
    ),
    (
        r"(\w*_)?intermediate_size(_mlp)?|d_ff|ffn_dim|mlp_dim|(en|de)coder_ffn_dim|share_expert_dim|ff_dim",
        FEED_FORWARD,
    ),
    (r"head_dim|d_kv|(swa_|global_|resampler_|mamba_)?head_dim|v_head_dim|qk_nope_head_dim|swa_v_head_dim", HEAD),
    (r"qk_rope_head_dim|swa_qk_rope_head_dim|index_head_dim|indexer_head_dim", HEAD),
    (r"swa_qk_nope_head_dim|linear_(key_|value_)?head_dim|kv_lora_rank|q_lora_rank|ssm_state_size", HEAD),
    (r"qk_head_dim", 2 * HEAD),
    (
        r"(\w+_)?(num_)?attention_heads|num_heads|n_heads|resampler_(n_)?heads|(swa_)?num_attention_heads|n_head"
        r"|linear_num_(key_|value_)?heads|index_n_heads|indexer_n_heads",
        HEADS,
    ),
    (
        r"num_hidden_layers|depth|num_layers|n_layers|layers|(en|de)coder_layers|num_decoder_layers|n_layer"
        r"|resampler_depth|num_global_layers|max_window_layers|conf_num_hidden_layers",
        LAYERS,
    ),
    (r"num_experts|n_routed_experts|num_local_experts|moe_num_experts", EXPERTS),
    (r"num_experts_per_tok|moe_k|moe_topk|top_k_experts", CHOSEN),
    (r"n_group|topk_group|n_shared_experts|moe_num_shared_experts|(mamba_)?n_groups", 1),
    (r"mamba_num_heads", 2 * HIDDEN // HEAD),  # which fill twice the width
    (r"base_channels", 32),
    (r"output_channels", 32),
    (r"vocab_size(_per_layer_input)?|unpadded_vocab_size", VOCABULARY),
    (r"hidden_size_per_layer_input", 32),
)
_DROPS = re.compile(r"\w*(dropout|drop_path|layerdrop)\w*")  # a frozen part in train mode must give equal outputs
_KEY_VALUE = re.compile(r"(swa_|global_)?num_(global_)?key_value_heads|indexer_kv_heads|num_key_value_heads_\w+")
_LISTS_OF_KINDS = re.compile(r"(\w+_)?layer_types|layers_block_type|layer_rope_theta|indexer_types|no_rope_layers")
_LISTS_OF_LAYERS = re.compile(
    r"deepstack_visual_indexes|fullatt_block_indexes|global_attn_indexes|intermediate_layers_indices|full_attn_idxs"
    r"|moe_layers|rope_scaling_layers|dense_layers|local_layer_ids"
)
_ONE_LAYER = re.compile(r"first_k_dense_replace|insert_layer_id")
_NESTED = re.compile(r"\w*config$|^encoder$|^decoder$")


def shrink(config: Any) -> Any:
    """Make a configuration and all that it holds small, in place; see the module."""
    for one in configurations(config).values():
        _shrink_one(one)
    return config


def configurations(config: Any, path: str = "") -> dict[str, Any]:
    """A configuration and those inside it, by dotted name, the outermost first under the empty one."""
    found = {path: config}
    for name, value in sorted(vars(config).items()):
        if _NESTED.match(name) and hasattr(value, "to_dict"):
            found |= configurations(value, f"{path}.{name}".lstrip("."))
    return found


def assign(config: Any, dotted: str, value: Any) -> None:
    """Set one value by its dotted name, through configurations and mappings. Raises KeyError for a name not there."""
    *outer, last = dotted.split(".")
    for name in outer:
        config = config[name] if isinstance(config, dict) else getattr(config, name)
    if isinstance(config, dict):
        config[last] = value
    else:
        setattr(config, last, value)


def _shrink_one(config: Any) -> None:
    before = {name: value for name, value in vars(config).items() if not name.startswith("_")}
    single = _single_layers(config)
    for name, value in before.items():
        if _DROPS.fullmatch(name) and isinstance(value, float):
            setattr(config, name, 0.0)
        if (small := _small(name, value, before)) is not None:
            setattr(config, name, small)
    kinds = {name: value for name, value in before.items() if _LISTS_OF_KINDS.fullmatch(name) and value}
    kept = _one_of_each(list(kinds.values())) if kinds else []
    for name, value in kinds.items():
        setattr(config, name, [value[at] for at in kept if at < len(value)])
    depth = len(kept) or LAYERS
    if kinds:
        for name in before:
            if name in ("num_hidden_layers", "depth", "n_layers", "num_layers"):
                setattr(config, name, depth)
    _shrink_layers(config, before, depth)
    if single:
        kept = kept or list(range(depth))
        config.per_layer_config = {new: _all_small(single[old]) for new, old in enumerate(kept) if old in single}
    for name, rope in before.items():
        if name.startswith("rope_") and isinstance(rope, dict):
            setattr(config, name, _rotary(rope, config))


def _single_layers(config: Any) -> dict[int, dict[str, Any]]:
    """Settings that single layers have for themselves, by the layer's number."""
    if not getattr(config, "is_heterogeneous", False) and not isinstance(vars(config).get("per_layer_config"), dict):
        return {}
    said = vars(config).get("per_layer_config") or config.to_dict().get("per_layer_config") or {}
    return {int(layer): dict(values) for layer, values in said.items()}


def _all_small(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value if (small := _small(name, value, settings)) is None else small for name, value in settings.items()
    }


def _small(name: str, value: Any, before: dict[str, Any]) -> Any:
    """The small value of one setting; None where it stays."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        return None
    if _KEY_VALUE.fullmatch(name):
        heads = before.get("num_attention_heads") or before.get("num_heads") or value
        return HEADS if value >= heads else 1
    for pattern, size in _SIZES:
        if re.fullmatch(pattern, name):
            return min(size, value)
    return None


def _one_of_each(lists: list[Any]) -> list[int]:
    """The first places of a list of layers at which all kinds of layers have been seen: two at least."""
    length = min(len(one) for one in lists)
    kinds = [tuple(str(one[at]) for one in lists) for at in range(length)]
    first = [at for at, kind in enumerate(kinds) if kind not in kinds[:at]]
    return sorted({*first, *([length - 1] if len(first) < LAYERS <= length else [])})


def _shrink_layers(config: Any, before: dict[str, Any], depth: int) -> None:
    """Settings that name layers by number: the last one, so that there are layers of both kinds."""
    for name, value in before.items():
        if _LISTS_OF_LAYERS.fullmatch(name) and isinstance(value, (list, tuple)) and value:
            setattr(config, name, type(value)([depth - 1]))
        elif name == "kv_source_layers":
            setattr(config, name, list(range(depth)))
        elif _ONE_LAYER.fullmatch(name) and isinstance(value, int) and value >= depth:
            setattr(config, name, depth - 1)
        elif name.endswith(("vision_feature_layer", "vision_feature_layers")):
            _feature_layer(config, name, value, depth)


def _feature_layer(config: Any, name: str, value: Any, depth: int) -> None:
    def near(layer: int) -> int:
        return max(layer, -depth) if layer < 0 else min(layer, depth)

    setattr(config, name, near(value) if isinstance(value, int) else [near(one) for one in value])


def _rotary(rope: dict[str, Any], config: Any) -> dict[str, Any]:
    """Sections of rotary positions that add up to half of the small heads, in the same proportions."""
    if any(isinstance(value, dict) for value in rope.values()):
        return {name: _rotary(value, config) if isinstance(value, dict) else value for name, value in rope.items()}
    sections = rope.get("mrope_section")
    own = vars(config)
    if not sections or "hidden_size" not in own:  # a configuration of several parts may repeat what one of them says
        return rope
    head = own.get("head_dim") or own["hidden_size"] // own["num_attention_heads"]
    wanted = int(head * rope.get("partial_rotary_factor", 1.0)) // 2
    return {**rope, "mrope_section": list(_scaled(sections, wanted))}


def _scaled(sections: list[int], wanted: int) -> Iterator[int]:
    """Whole numbers in the proportions of others, with another sum; where all are even, even ones."""
    unit = 2 if all(one % 2 == 0 for one in sections) and wanted % 2 == 0 and wanted >= 2 * len(sections) else 1
    total, given = sum(sections), 0
    for place, one in enumerate(sections):
        left = len(sections) - place - 1
        size = wanted - given if not left else max(unit, wanted * one // total // unit * unit)
        given += size
        yield size
