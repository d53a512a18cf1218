"""Layer 3. The worker processes of a session, what they import, and how folders of runs are named."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.families.family import family
from harness.launch import Launcher

PLAIN_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*(/[a-z0-9.+-]+(\[[a-z0-9.+-]+\])?)?")
LONGEST_NAME = 100
ENGINES = {"deepspeed": "harness.engines.deepspeed_loop"}  # whose libraries cost their time to import


@dataclass(frozen=True)
class Workers:
    """Who makes runs and who loads what they saved: two processes that have imported different things."""

    makers: Launcher
    reloaders: Launcher


def worker_modules(families: Sequence[str], engines: Iterable[str] = ()) -> tuple[list[str], list[str]]:
    """What the makers' and the reloaders' warm parents import: all that their jobs would import one by one.

    Only makers know an engine: a save must load where there is none.
    """
    libraries = ["torch", "transformers", "peft", "safetensors.torch", "accelerate", "PIL.Image", "jinja2"]
    models = [module for name in families for module in family(name).library_modules]
    shared = ["harness.stack", "harness.checkpoint.inventory", "harness.trace.writer"]
    makers = [
        "harness.making",
        "harness.engines.torch_loop",
        "harness.engines.hf_trainer",
        "harness.recording",
        "harness.probes",
        "harness.probing",
        "harness.faults",
    ]
    makers += sorted(ENGINES[name] for name in set(engines) if name in ENGINES)
    reloaders = ["harness.reloading.jobs"]
    return [*libraries, *models, *shared, *makers], [*libraries, *models, *shared, *reloaders]


def folder_name(name: str) -> str:
    """A recipe id or another name as the name of a folder; two different names never share one.

    Names as most suites have them keep all but slash and brackets; any other gets its digest.
    """
    if PLAIN_NAME.fullmatch(name) and len(name) <= LONGEST_NAME:
        return name.translate(str.maketrans("/[", "__", "]"))
    readable = re.sub(r"[^\w.@+-]+", "_", name).strip("_.")[:LONGEST_NAME]
    return f"{readable}~{hashlib.sha256(name.encode()).hexdigest()[:12]}"
