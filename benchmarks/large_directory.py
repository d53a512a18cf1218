"""A directory as large as a model of 70 billion parameters has, whose values are holes in its files."""

from __future__ import annotations

import json
from pathlib import Path

HIDDEN, INNER, LAYERS, HEADS, SHARED, ROWS = 8192, 28672, 80, 64, 8, 128256
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": SHARED,
    "vocab_size": ROWS,
    "tie_word_embeddings": False,
    "bos_token_id": 128000,
    "eos_token_id": 128009,
    "dtype": "bfloat16",
}
_WIDTH = HIDDEN // HEADS


def shapes() -> dict[str, tuple[int, ...]]:
    """The tensors of a Llama of 70 billion parameters."""
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (ROWS, HIDDEN)}
    for number in range(LAYERS):
        layer = f"model.layers.{number}"
        found |= {
            f"{layer}.self_attn.q_proj.weight": (HIDDEN, HIDDEN),
            f"{layer}.self_attn.k_proj.weight": (SHARED * _WIDTH, HIDDEN),
            f"{layer}.self_attn.v_proj.weight": (SHARED * _WIDTH, HIDDEN),
            f"{layer}.self_attn.o_proj.weight": (HIDDEN, HIDDEN),
            f"{layer}.mlp.gate_proj.weight": (INNER, HIDDEN),
            f"{layer}.mlp.up_proj.weight": (INNER, HIDDEN),
            f"{layer}.mlp.down_proj.weight": (HIDDEN, INNER),
            f"{layer}.input_layernorm.weight": (HIDDEN,),
            f"{layer}.post_attention_layernorm.weight": (HIDDEN,),
        }
    return found | {"model.norm.weight": (HIDDEN,), "lm_head.weight": (ROWS, HIDDEN)}


def write_large(directory: Path, shards: int = 30) -> Path:
    """About 141 GB in thirty shards, of which a disk holds some 100 kB."""
    directory.mkdir(parents=True)
    tensors = list(shapes().items())
    places: dict[str, str] = {}
    total = 0
    for number in range(shards):
        name = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        some = tensors[number * len(tensors) // shards : (number + 1) * len(tensors) // shards]
        total += _sparse(directory / name, some)
        places |= {key: name for key, _ in some}
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    (directory / "config.json").write_text(json.dumps(CONFIG))
    (directory / "generation_config.json").write_text(json.dumps({"eos_token_id": [128001, 128009]}))
    vocabulary = {f"token {number}": number for number in range(ROWS)}
    (directory / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": vocabulary}}))
    (directory / "tokenizer_config.json").write_text(
        json.dumps({"eos_token": "token 128009", "bos_token": "token 128000"})
    )
    return directory


def _sparse(path: Path, tensors: list[tuple[str, tuple[int, ...]]]) -> int:
    header, at = {}, 0
    for key, shape in tensors:
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[key] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)
    return at
