"""Small saved directories, as releases of transformers and peft write them."""

import json
from pathlib import Path
from typing import Any

import torch

from harness.trace.writer import write_safetensors

LAYERS = ("model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj")
CODE = {
    "configuration_demo.py": "class Config: pass\n",
    "modeling_demo.py": "from .configuration_demo import Config\nfrom .resampler import Resampler\n",
    "resampler.py": "class Resampler: pass\n",
    "processing_demo.py": "from .image_processing_demo import Images\n",
    "image_processing_demo.py": "class Images: pass\n",
    "tokenization_demo.py": "class Fast: pass\n",
}


def write(directory: Path, name: str, value: Any) -> None:
    """A file with this text, or this value as JSON."""
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


def tensors(directory: Path, name: str, shapes: dict[str, tuple[int, ...]]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    write_safetensors(directory / name, {key: torch.zeros(shape) for key, shape in shapes.items()})


def with_code(directory: Path) -> Path:
    """A whole directory of a model with code of its own: language model under `llm`, projector `resampler`."""
    write(
        directory,
        "config.json",
        {
            "model_type": "demo",
            "architectures": ["Demo"],
            "vocab_size": 8,
            "auto_map": {"AutoConfig": "configuration_demo.Config", "AutoModel": "modeling_demo.Demo"},
        },
    )
    weights = {f"llm.{path}.weight": (4, 4) for path in LAYERS}
    tensors(directory, "model.safetensors", {**weights, "resampler.query": (2, 4)})
    write(directory, "generation_config.json", {"eos_token_id": 2})
    write(directory, "tokenizer.json", {"version": "1.0"})
    write(
        directory,
        "tokenizer_config.json",
        {"eos_token": "</s>", "chat_template": "x", "auto_map": {"AutoTokenizer": [None, "tokenization_demo.Fast"]}},
    )
    write(directory, "special_tokens_map.json", {"eos_token": "</s>"})
    write(
        directory,
        "preprocessor_config.json",
        {
            "auto_map": {
                "AutoProcessor": "processing_demo.Processor",
                "AutoImageProcessor": "image_processing_demo.Images",
            }
        },
    )
    for name, text in CODE.items():
        write(directory, name, text)
    return directory
