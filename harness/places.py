"""Layer 0. Where things lie in the folder of a run or of a verified base, and how folders of runs are named."""

from __future__ import annotations

import hashlib
import re

SAVED = "saved"  # what the run saved
RELOAD = "reload"  # the request for the process that loads it
REQUEST = "request.json"
INPUTS = "inputs.safetensors"
STREAM = "stream"  # what the process that verified a base has written
INVENTORY = "inventory.json"  # what a base holds, by key and by role
MODULES = "modules"  # where code files of model directories are copied before they run
NATIVE = "model.pth"  # a state dict written by torch.save, where the recipe has no name for it

PLAIN_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*(/[a-z0-9.+-]+(\[[a-z0-9.+-]+\])?)?")
LONGEST_NAME = 100


def folder_name(name: str) -> str:
    """A recipe id or another name as the name of a folder; two different names never share one.

    Names as most suites have them keep all but slash and brackets; any other gets its digest.
    """
    if PLAIN_NAME.fullmatch(name) and len(name) <= LONGEST_NAME:
        return name.translate(str.maketrans("/[", "__", "]"))
    readable = re.sub(r"[^\w.@+-]+", "_", name).strip("_.")[:LONGEST_NAME]
    return f"{readable}~{hashlib.sha256(name.encode()).hexdigest()[:12]}"
