"""How a healthy directory is damaged: one file, one key, one entry, one row or one byte of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.checkpoint.inspecting.conftest import in_json, in_shard, key_of

INDEX = "model.safetensors.index.json"


def shard(directory: Path, number: int = 1) -> Path:
    return sorted(directory.glob("*.safetensors"))[number]


def cut(directory: Path) -> None:
    path = shard(directory)
    path.write_bytes(path.read_bytes()[:-1])


def one_byte_of_a_header(directory: Path) -> None:
    path = shard(directory)
    data = bytearray(path.read_bytes())
    at = data.index(b'"data_offsets":[') + len('"data_offsets":[')
    data[at] ^= 1  # an offset that overlaps the tensor before, or leaves a gap
    path.write_bytes(data)


def header_length(directory: Path) -> None:
    path = shard(directory)
    data = bytearray(path.read_bytes())
    data[7] = 1  # a header of 2^56 bytes
    path.write_bytes(data)


def drop(end: str, *, index: bool = True) -> Callable[[Path], object]:
    def do(directory: Path) -> None:
        key = key_of(directory, end)
        in_shard(directory, key, lambda tensors: [tensors.pop(key)])
        if index:
            in_json(directory, INDEX, lambda value: [value["weight_map"].pop(key), value["metadata"].clear()])

    return do


def rename(end: str, new: Callable[[str], str]) -> Callable[[Path], object]:
    def do(directory: Path) -> None:
        key = key_of(directory, end)
        in_shard(directory, key, lambda tensors: tensors.update({new(key): tensors.pop(key)}))
        in_json(directory, INDEX, lambda value: value["weight_map"].update({new(key): value["weight_map"].pop(key)}))

    return do


def tensor(end: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], object]:
    def do(directory: Path) -> None:
        in_shard(
            directory,
            key_of(directory, end),
            lambda tensors: tensors.update(
                {key: change(value).contiguous() for key, value in tensors.items() if key == key_of(directory, end)}
            ),
        )
        if (directory / INDEX).is_file():
            in_json(directory, INDEX, lambda value: value["metadata"].clear())

    return do


def entry(name: str, change: Callable[[Any], Any]) -> Callable[[Path], object]:
    return lambda directory: in_json(directory, name, change)


def remove(*names: str) -> Callable[[Path], object]:
    return lambda directory: [(directory / name).unlink() for name in names]


def leave_a_shard_out(directory: Path) -> None:
    shard(directory).unlink()


def a_second_copy(directory: Path) -> None:
    shutil.copy(shard(directory), directory / "model-old.safetensors")


def say_untied(value: dict[str, Any]) -> object:
    return value.update(tie_word_embeddings=False)


def a_token_more(value: dict[str, Any]) -> object:
    return value["added_tokens"].append({"id": 576, "content": "<new>", "special": True})


def both_matrices(tensors: dict[str, torch.Tensor]) -> None:
    for key in [key for key in tensors if "layers.0.self_attn.q_proj.lora_" in key]:
        value = tensors[key]
        half = value[:2] if "lora_A" in key else value[:, :2]
        tensors[key] = half.contiguous()


def under_other_names(directory: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        for key in list(tensors):
            tensors[key.replace("model.llm.", "model.")] = tensors.pop(key)

    in_shard(directory, "lora_A.weight", change)


def one_inf(value: torch.Tensor) -> torch.Tensor:
    value.view(-1)[-1] = float("inf")
    return value


def plus_one_ulp(value: torch.Tensor) -> torch.Tensor:
    value.view(-1).view(torch.int32)[-1] += 1
    return value


def head_of_its_own(directory: Path) -> None:
    """A tied model saved with both tensors, one element apart."""

    def change(tensors: dict[str, torch.Tensor]) -> None:
        table = next(value for key, value in tensors.items() if key.endswith("embed_tokens.weight"))
        tensors["lm_head.weight"] = plus_one_ulp(table.clone())

    path = in_shard(directory, "embed_tokens.weight", change)
    in_json(
        directory,
        INDEX,
        lambda value: value["weight_map"].update({"lm_head.weight": path.name}) or value["metadata"].clear(),
    )


def cut_last(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def without_prefix(tensors: dict[str, torch.Tensor]) -> None:
    for key in list(tensors):
        tensors[key.removeprefix("base_model.model.")] = tensors.pop(key)
