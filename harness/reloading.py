"""Layer 2, making side. Loads a saved directory as a stranger would: public Auto classes, and nothing of the families.

Runs in a process that has imported torch, transformers and peft only. What it needs to know about the run comes as
plain files: the directory, the inputs, where to write.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.checkpoint.inventory import inventory
from harness.trace.fingerprint import as_hex, fingerprint
from harness.trace.writer import StreamWriter


def reload(request: dict[str, Any]) -> None:
    """Job: read `directory`, load what it holds, run it on `inputs`, and write the reload stream of `trace`."""
    from harness import stack

    stack.quiet()
    stream = StreamWriter(Path(request["trace"]) / "reload")
    directory = Path(request["directory"])
    record: dict[str, Any] = {}
    try:
        files = _attempt(record, "inventory", lambda: inventory(directory))
        if files is not None:
            stream.emit("inventory", **files)
        model = _attempt(record, "model", lambda: _load_model(directory, request["dtype"], record))
        if model is not None:
            record["fingerprints"] = {path: as_hex(fingerprint(p)) for path, p in model.named_parameters()}
            _attempt(record, "outputs", lambda: _outputs(model, Path(request["inputs"]), record, stream))
        if request["processor"]:
            _attempt(record, "processor", lambda: _processor(directory, request["prompts"], record))
    finally:
        stream.emit("reloaded", **record)
        stream.close()


def _attempt(record: dict[str, Any], what: str, action: Any) -> Any:
    """What the action gives; if it raises, the error under `<what>_error` and None."""
    try:
        return action()
    except Exception as error:
        record[f"{what}_error"] = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
        return None


def _load_model(directory: Path, dtype: str, record: dict[str, Any]) -> Any:
    import torch

    from harness import stack

    options = {**stack.dtype_argument(getattr(torch, dtype)), "output_loading_info": True}
    base = _base_of_adapter(directory)
    model, info = stack.image_text_class().from_pretrained(base or directory, **options)
    record["missing"], record["unexpected"] = sorted(info["missing_keys"]), sorted(info["unexpected_keys"])
    record["mismatched"] = sorted(str(key) for key in info.get("mismatched_keys", ()))
    record["model_class"] = type(model).__name__
    if base:
        model = _with_adapter(model, directory, record)
    return model.eval()


def _base_of_adapter(directory: Path) -> str | None:
    config = directory / "adapter_config.json"
    if not config.exists():
        return None
    base: str = json.loads(config.read_text(encoding="utf-8"))["base_model_name_or_path"]
    return base


def _with_adapter(model: Any, directory: Path, record: dict[str, Any]) -> Any:
    """The base with its adapter; keys that peft misses or does not know are recorded, for it only warns of them."""
    import warnings

    from peft import PeftModel

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        adapted = PeftModel.from_pretrained(model, directory)
    said = (str(warning.message) for warning in caught)
    record["adapter_warnings"] = [" ".join(text.split())[:500] for text in said if "keys" in text]
    return adapted


def _outputs(model: Any, inputs: Path, record: dict[str, Any], stream: StreamWriter) -> None:
    import torch
    from safetensors.torch import load_file

    batches: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in load_file(inputs).items():
        batch, _, argument = name.partition("/")
        batches.setdefault(batch, {})[argument] = tensor
    with torch.no_grad():
        logits = {name: model(**batch).logits.detach().float() for name, batch in sorted(batches.items())}
    record["outputs"] = {name: as_hex(fingerprint(value)) for name, value in logits.items()}
    record["arrays"] = stream.arrays(logits)


def _processor(directory: Path, prompts: dict[str, Any], record: dict[str, Any]) -> None:
    """The processor that comes back, and what it makes of each prompt; the tokenizer alone is not a processor."""
    from PIL import Image
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(directory)
    record["processor_class"] = type(processor).__name__
    encoded: dict[str, dict[str, str]] = {}
    for name, prompt in sorted(prompts.items()):
        images = [Image.open(path).convert("RGB") for path in prompt["images"]]
        inputs = processor(text=[prompt["text"]], images=images or None, return_tensors="pt")
        encoded[name] = {key: as_hex(fingerprint(value)) for key, value in sorted(inputs.items())}
    record["encoded"] = encoded
