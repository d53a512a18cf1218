"""What is to be seen of a directory once it is loaded: classes, bits, ties, outputs, inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.checkpoint.json_files import CONFIG, entries
from harness.devices import moved, repeatable
from harness.own_code import named
from harness.reloading.attempt import attempt
from harness.reloading.composing import load_model
from harness.reloading.request import Request
from harness.reloading.resuming import resume_facts
from harness.trace.nested import first_output, put_together
from harness.trace.writer import StreamWriter


def look_at(request: Request, record: dict[str, Any], stream: StreamWriter) -> None:
    from harness import stack
    from harness.trace.fingerprint import as_hex, fingerprint

    tokenizer = attempt(record, "tokenizer", lambda: _tokenizer(request, record)) if request.tokenizer else None
    if request.what == "native":
        record["resume"] = attempt(record, "resume", lambda: resume_facts(Path(request.directory)))
    model = attempt(record, "model", lambda: load_model(request, tokenizer, record))
    if model is not None:
        stack.aligned(model).requires_grad_(False)  # as in probes: torch chooses among products of matrices by it
        record["fingerprints"] = {path: as_hex(fingerprint(p)) for path, p in model.named_parameters()}
        record["ties"] = _ties(model)
        record["settings"] = _settings(model, request)
        attempt(record, "outputs", lambda: _outputs(model, request, record, stream))
        attempt(record, "vocabulary", lambda: _vocabulary(model, tokenizer, record))
    if request.processor:
        attempt(record, "processor", lambda: _processor(request, record, stream))


def _tokenizer(request: Request, record: dict[str, Any]) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(request.directory, trust_remote_code=request.trust_remote_code)
    record["tokenizer_class"] = type(tokenizer).__name__
    template = tokenizer.chat_template
    record["chat_template"] = (
        None
        if template is None
        else hashlib.blake2b(json.dumps(template, sort_keys=True).encode(), digest_size=8).hexdigest()
    )
    return tokenizer


def _ties(model: Any) -> dict[str, list[str]]:
    """Each parameter's further paths, where it has any."""
    first: dict[int, str] = {}
    ties: dict[str, list[str]] = {}
    for path, parameter in model.named_parameters(remove_duplicate=False):
        if id(parameter) in first:
            ties.setdefault(first[id(parameter)], []).append(path)
        first.setdefault(id(parameter), path)
    return ties


def _settings(model: Any, request: Request) -> dict[str, Any]:
    """Each entry of the configuration in force by its dotted name: what lies beside a part of a model goes first."""
    to_dict = getattr(getattr(model, "config", None), "to_dict", dict)
    own: dict[str, Any] = to_dict()
    return dict(sorted(_flat({**own, **entries(Path(request.directory) / CONFIG)})))


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}".lstrip("."))
    else:
        yield name, value if isinstance(value, (str, int, float, bool, list, type(None))) else str(value)


def _outputs(model: Any, request: Request, record: dict[str, Any], stream: StreamWriter) -> None:
    """Logits and a few generated ids, on each batch that the run has left."""
    import torch
    from safetensors.torch import load_file

    from harness.data.prompts import greedy_ids
    from harness.trace.fingerprint import as_hex, fingerprint

    device = torch.device(request.device)
    repeatable(request.device, request.tf32)
    tensors = moved(load_file(request.inputs), device) if request.inputs else {}
    model = model if request.device == "cpu" else model.to(device)
    with torch.no_grad():
        logits = {
            name: _output(model, request, plain, tensors).float().cpu()
            for name, plain in sorted(request.arguments.items())
        }
        if request.handed:
            before = load_file(request.handed)
            record["handed_over"] = {
                "largest_difference": {
                    name: float((value - before[name]).abs().amax()) for name, value in logits.items()
                },
                "largest_logit": {name: float(value.abs().amax()) for name, value in before.items()},
            }
        record["outputs"] = {name: as_hex(fingerprint(value)) for name, value in logits.items()}
        record["arrays"] = stream.arrays(logits)
        record["generated"] = {
            name: greedy_ids(model, put_together(plain, tensors)) for name, plain in sorted(request.generation.items())
        }


def _output(model: Any, request: Request, plain: Any, tensors: dict[str, Any]) -> Any:
    output = first_output(model(*put_together(list(request.positional), tensors), **put_together(plain, tensors)))
    if output is None:
        raise TypeError("the model gives no tensor")
    return output.detach()


def _vocabulary(model: Any, tokenizer: Any, record: dict[str, Any]) -> None:
    """What must fit into the embedding: the tokenizer's ids and those that the configurations name."""
    if tokenizer is None:
        return
    named = {}
    for source in (getattr(model, "config", None), getattr(model, "generation_config", None)):
        settings = source.to_dict() if source is not None else {}
        for name, value in settings.items():
            if name.endswith(("_token_id", "_token_index")) and value is not None:
                named[name] = max(value) if isinstance(value, list) else int(value)
    record["vocabulary"] = {
        "tokens": len(tokenizer),
        "largest": max(tokenizer.get_vocab().values()),
        "rows": int(model.get_input_embeddings().weight.shape[0]),
        "ids": dict(sorted(named.items())),
    }


def _own_processor(request: Request) -> Any:
    assert request.processor_loader is not None
    return named(request.processor_loader, "loader")(Path(request.directory))


def _auto_processor(request: Request) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(request.directory, trust_remote_code=request.trust_remote_code)


def _processor(request: Request, record: dict[str, Any], stream: StreamWriter) -> None:
    """The processor that comes back, and what it makes of each prompt; the tokenizer alone is not a processor."""
    from harness.data.prompts import encoded_prompts, prompt_inputs
    from harness.trace.nested import tensors_in

    processor = _own_processor(request) if request.processor_loader else _auto_processor(request)
    record["processor_class"] = type(processor).__name__
    record["encoded"] = encoded_prompts(processor, request.prompts)
    if request.pixels:
        record["pixel_arrays"] = stream.arrays(
            {
                f"{prompt}/{name}/{number}": tensor.float()
                for prompt, name, value in prompt_inputs(processor, request.prompts)
                for number, tensor in enumerate(tensors_in(value))
                if tensor.is_floating_point()
            }
        )
