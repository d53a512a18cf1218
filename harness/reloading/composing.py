"""From a saved directory to a model: a whole one; an adapter, trained tensors or a state dict over their base."""

from __future__ import annotations

import contextlib
import inspect
import json
import warnings
from pathlib import Path
from typing import Any

from harness.checkpoint.files import PROJECTOR, TRAINABLES, TRAINED, native_path, refuse_missing_part
from harness.checkpoint.json_files import CONFIG, entries
from harness.checkpoint.overlay import lay_over, part_tensors
from harness.checkpoint.towers import Tower, use_own_towers
from harness.own_code import named
from harness.refusal import Refused
from harness.reloading.request import Request


def load_model(request: Request, tokenizer: Any, record: dict[str, Any]) -> Any:
    """The model of a directory, in eval mode. What loading missed or did not know goes into the record.

    Over a base, the embeddings grow first where the tokenizer has more tokens than they have rows, as peft asks.
    """
    model = _composed(request, tokenizer, record)
    if empty := _filled(model):  # of a shared tensor the library does not say that it is missing under all its names
        record["missing"] = sorted({*record["missing"], *empty})
    return model.eval()


def _filled(model: Any) -> list[str]:
    """Give zeros to what loading left without any value, so that the rest can be looked at; its paths."""
    import torch

    paths = dict(model.named_parameters(remove_duplicate=False))
    empty = [path for path, parameter in paths.items() if parameter.is_meta]
    zeros = {id(paths[path]): torch.nn.Parameter(torch.zeros(paths[path].shape)) for path in empty}  # a tie is kept
    for path in empty:
        owner, _, name = path.rpartition(".")
        setattr(model.get_submodule(owner), name, zeros[id(paths[path])])
    return empty


def _composed(request: Request, tokenizer: Any, record: dict[str, Any]) -> Any:
    directory = Path(request.directory)
    record["parts"] = []
    if request.what == "full":
        model = _from_pretrained(directory, request, record)
        for part in request.parts:
            _with_part(model, part, record)
        return model
    adapter = request.what == "adapter"
    peft_s = adapter and not (request.trust_remote_code and native_path(directory).is_file())
    base = _base_of_adapter(directory) if peft_s else Path(request.base)
    model = _from_pretrained(base, request, record)
    if tokenizer is not None and len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer))
    if adapter and not peft_s:
        return _with_own_adapter(model, native_path(directory), request.code or str(base))
    return _with_adapter(model, directory, base, record) if adapter else _laid_over(model, request, record)


def _with_own_adapter(model: Any, file: Path, code: str) -> Any:
    """The base with an adapter of its trainer's own, by the trainer's code."""
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    return get_class_from_dynamic_module("model_lora.load_lora", code)(model, file)


def _with_part(model: Any, part: dict[str, str], record: dict[str, Any]) -> None:
    """What an earlier run has left, over what it was trained from. An adapter is there for training to go on with."""
    file = Path(part["file"])
    refuse_missing_part(part["kind"], file)
    if part["kind"] != "adapter":
        record["parts"].append(lay_over(model, part_tensors(file), file.name))


def _from_pretrained(directory: Path, request: Request, record: dict[str, Any]) -> Any:
    import torch

    from harness import stack

    if request.loader:
        model, dtype = _by_own_loader(directory, request, record), getattr(torch, request.dtype)
        if any(one.dtype != dtype for one in model.parameters() if one.is_floating_point()):
            model = model.to(dtype)  # buffers with it, which from_pretrained leaves as the model makes them
        _make_towers_anew(model, request, record)
        return model
    options = {**stack.dtype_argument(getattr(torch, request.dtype)), "output_loading_info": True}
    options |= stack.attention_argument(request.attention)
    model, info = stack.auto_class(directory, request.trust_remote_code).from_pretrained(
        directory, trust_remote_code=request.trust_remote_code, **options
    )
    record["missing"], record["unexpected"] = sorted(info["missing_keys"]), sorted(info["unexpected_keys"])
    record["mismatched"] = sorted(str(key) for key in info.get("mismatched_keys", ()))
    record["model_class"] = type(model).__name__
    _make_towers_anew(model, request, record)
    return model


def _make_towers_anew(model: Any, request: Request, record: dict[str, Any]) -> None:
    """What a loader does after from_pretrained with the towers that the configuration names directories for."""
    if request.towers:  # of families whose models have the libraries' own configuration
        beside = entries(Path(request.directory) / CONFIG)  # of a save that is laid over its base, the save's own
        settings = {**model.config.to_dict(), **beside, **request.settings}
        record["towers"] = use_own_towers(model, [Tower(**tower) for tower in request.towers], settings)


def _by_own_loader(directory: Path, request: Request, record: dict[str, Any]) -> Any:
    """What the user's own function gives: a model, or, as from_pretrained does with output_loading_info, a model and
    the keys that it missed and did not know. Of a model alone nobody lists them.

    One that takes `dtype` or `attention` is told in which dtype the weights were, and how attention was computed.
    """
    import torch

    assert request.loader is not None
    record["loader"] = request.loader
    load: Any = named(request.loader, "loader")
    known = {"dtype": getattr(torch, request.dtype), "attention": request.attention}
    made = load(directory, **{name: known[name] for name in known if name in inspect.signature(load).parameters})
    model, info = made if isinstance(made, tuple) else (made, {})
    for name in ("missing", "unexpected", "mismatched"):
        record[name] = sorted(map(str, info.get(f"{name}_keys", ())))
    record["model_class"] = type(model).__name__
    return model


def _base_of_adapter(directory: Path) -> Path:
    config = json.loads((directory / "adapter_config.json").read_text(encoding="utf-8"))
    return Path(config["base_model_name_or_path"])


def _with_adapter(model: Any, directory: Path, base: Path, record: dict[str, Any]) -> Any:
    """The base with its adapter; keys that peft misses or does not know are recorded, for it only warns of them."""
    from peft import PeftModel

    for name in TRAINABLES:
        if (directory / name).is_file():
            record["parts"].append(lay_over(model, part_tensors(directory / name), name))
    paths = [path for path, _ in model.named_modules()]
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            adapted = PeftModel.from_pretrained(model, directory)
    except Exception:
        from harness.checkpoint.fit import adapter_fit

        with contextlib.suppress(Refused):  # an adapter whose files cannot be read fits nothing: the error says so
            if diagnosis := adapter_fit(directory, paths, base=base).diagnosis:
                record["adapter_fit"] = diagnosis
        raise
    said = (str(warning.message) for warning in caught)
    record["adapter_warnings"] = [" ".join(text.split())[:500] for text in said if "keys" in text]
    return adapted


def _laid_over(model: Any, request: Request, record: dict[str, Any]) -> Any:
    """The base with the saved tensors in place of its own."""
    directory = Path(request.directory)
    names = {"partial": TRAINED, "projector": PROJECTOR}
    file = native_path(directory) if request.what == "native" else directory / names[request.what]
    tensors = part_tensors(file)
    part = lay_over(model, tensors, file.name)
    record["parts"].append(part)
    record["missing"], record["unexpected"] = sorted(_left_as_they_were(model, set(tensors))), part["unexpected"]
    return model


def _left_as_they_were(model: Any, given: set[str]) -> set[str]:
    """What of a model was given no tensor; one that has two names has been given it under either."""
    paths = dict(model.named_parameters(remove_duplicate=False))
    met = {id(parameter) for path, parameter in paths.items() if path in given}
    return {path for path in model.state_dict() if path not in given and id(paths.get(path)) not in met}
