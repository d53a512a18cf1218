"""The jobs: loading what a run has saved, and verifying the directory that training starts from."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from harness.checkpoint.inventory import fingerprints_by_dtype, inventory, part_fingerprints
from harness.checkpoint.roles import roles
from harness.reloading.attempt import attempt
from harness.reloading.looking import look_at
from harness.reloading.request import Request
from harness.trace.writer import StreamWriter


def reload(argument: dict[str, Any]) -> None:
    """Job: list a directory, load what it holds, run it, and write what came of it into a stream."""
    _load(Request(**argument), {})


def _load(request: Request, record: dict[str, Any]) -> None:
    from harness import stack

    stack.quiet()
    stack.use_modules_cache(Path(request.modules))
    stream = StreamWriter(Path(request.stream))
    try:
        files = attempt(record, "inventory", lambda: inventory(Path(request.listed or request.directory)))
        if files is not None:
            stream.emit("inventory", **files)
        look_at(request, record, stream)
    finally:
        stream.emit("reloaded", **record)
        stream.close()


def verify_base(argument: dict[str, Any]) -> None:
    """Job: as `reload`, for a directory that training is to start from; what is in it goes to `inventory` besides."""
    from harness.trace.atomic import write_atomically

    place = Path(argument.pop("inventory"))
    said = {"encoding_error": argument.pop("encoding_error")} if "encoding_error" in argument else {}
    _load(Request(**argument), said)
    directory = Path(argument["directory"])
    facts: dict[str, Any] = {}
    listed: dict[str, Any] = {
        "tensors": attempt(facts, "tensors", lambda: fingerprints_by_dtype(directory)) or {},
        "roles": attempt(facts, "roles", lambda: roles(directory)) or {},
    }
    for part in argument["parts"]:
        file = Path(part["file"])
        if part["kind"] == "adapter":
            listed["adapter"] = attempt(facts, "adapter", partial(fingerprints_by_dtype, file.parent)) or {}
        else:
            found = attempt(facts, "part", partial(part_fingerprints, file)) or {}
            listed.setdefault("parts", []).append(found)
    write_atomically(place, json.dumps(listed))
