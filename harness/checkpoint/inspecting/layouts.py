"""What the commonest configurations promise, computed from their numbers in no time and without any library.

The names and shapes are facts of the published checkpoints: Llama and its kin, CLIP's tower, LLaVA. Whatever departs
from them in a setting is left to `building`, which asks the class itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Shapes = dict[str, tuple[int, ...]]
Config = Mapping[str, Any]

_DECODERS = {"LlamaForCausalLM": "llama", "MistralForCausalLM": "mistral", "Qwen2ForCausalLM": "qwen2"}
_SIZES = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "vocab_size")


def closed_form(config: Config) -> Shapes | None:
    """Name to shape of all that the model saves; None for a class or a setting that is not known here."""
    classes = config.get("architectures")
    name = classes[0] if isinstance(classes, list) and classes else None
    try:
        if name in _DECODERS and config.get("model_type") == _DECODERS[name]:
            return dict(_decoder(config))
        if name == "LlavaForConditionalGeneration":
            return _llava(config)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        pass
    return None


def _decoder(config: Config, prefix: str = "") -> Iterator[tuple[str, tuple[int, ...]]]:
    """A decoder of Llama's kind. Raises KeyError for a configuration that does not say its sizes."""
    hidden, inner, heads, layers, rows = (int(config[name]) for name in _SIZES)
    if config.get("quantization_config"):
        raise KeyError("quantization_config")
    shared = int(config.get("num_key_value_heads") or heads)
    width = int(config.get("head_dim") or hidden // heads)
    biased = config["model_type"] == "qwen2"
    everywhere = bool(config.get("attention_bias"))
    yield f"{prefix}model.embed_tokens.weight", (rows, hidden)
    for number in range(layers):
        at = f"{prefix}model.layers.{number}"
        outs = {"q_proj": heads * width, "k_proj": shared * width, "v_proj": shared * width}
        for name, out in outs.items():
            yield f"{at}.self_attn.{name}.weight", (out, hidden)
            if biased or everywhere:
                yield f"{at}.self_attn.{name}.bias", (out,)
        yield f"{at}.self_attn.o_proj.weight", (hidden, heads * width)
        if everywhere and not biased:
            yield f"{at}.self_attn.o_proj.bias", (hidden,)
        for name, shape in (
            ("gate_proj", (inner, hidden)),
            ("up_proj", (inner, hidden)),
            ("down_proj", (hidden, inner)),
        ):
            yield f"{at}.mlp.{name}.weight", shape
            if config.get("mlp_bias"):
                yield f"{at}.mlp.{name}.bias", shape[:1]
        yield f"{at}.input_layernorm.weight", (hidden,)
        yield f"{at}.post_attention_layernorm.weight", (hidden,)
    yield f"{prefix}model.norm.weight", (hidden,)
    yield f"{prefix}lm_head.weight", (rows, hidden)


def _clip(config: Config, prefix: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, inner, layers = (int(config[name]) for name in ("hidden_size", "intermediate_size", "num_hidden_layers"))
    image, patch, channels = int(config["image_size"]), int(config["patch_size"]), int(config.get("num_channels") or 3)
    yield f"{prefix}embeddings.class_embedding", (hidden,)
    yield f"{prefix}embeddings.patch_embedding.weight", (hidden, channels, patch, patch)
    yield f"{prefix}embeddings.position_embedding.weight", ((image // patch) ** 2 + 1, hidden)
    norms = ["pre_layrnorm", "post_layernorm"]
    for number in range(layers):
        at = f"encoder.layers.{number}"
        norms += [f"{at}.layer_norm1", f"{at}.layer_norm2"]
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield f"{prefix}{at}.self_attn.{name}.weight", (hidden, hidden)
            yield f"{prefix}{at}.self_attn.{name}.bias", (hidden,)
        for name, shape in (("fc1", (inner, hidden)), ("fc2", (hidden, inner))):
            yield f"{prefix}{at}.mlp.{name}.weight", shape
            yield f"{prefix}{at}.mlp.{name}.bias", shape[:1]
    for name in norms:
        yield f"{prefix}{name}.weight", (hidden,)
        yield f"{prefix}{name}.bias", (hidden,)


def _llava(config: Config) -> Shapes | None:
    text, vision = config["text_config"], config["vision_config"]
    features = config.get("vision_feature_layer", -2)
    if text.get("model_type") not in _DECODERS.values() or vision.get("model_type") != "clip_vision_model":
        return None
    hidden = int(text["hidden_size"])
    sees = int(vision["hidden_size"]) * (len(features) if isinstance(features, list) else 1)
    shapes = dict(_decoder(text, "language_model."))
    shapes |= dict(_clip(vision, "vision_tower.vision_model."))
    for name, takes in (("linear_1", sees), ("linear_2", hidden)):
        shapes[f"multi_modal_projector.{name}.weight"] = (hidden, takes)
        if config.get("multimodal_projector_bias", True):
            shapes[f"multi_modal_projector.{name}.bias"] = (hidden,)
    return shapes
