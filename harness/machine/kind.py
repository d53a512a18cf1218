"""What kind of device something runs on, in words that are equal on two machines of the kind."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch

from harness.wording import count


def device_kind(device: Any = "cpu") -> str:
    """A GPU's name as its driver gives it; a CPU's model, what of it torch uses, and with how many threads."""
    device = torch.device(device)
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)!s}"
    if device.type != "cpu":
        return str(device.type)
    told = getattr(torch.backends, "cpu", None)  # which torch 2.0 has not
    capability = told.get_cpu_capability() if told else platform.machine()
    return f"cpu: {cpu_model()}, {capability}, {count(torch.get_num_threads(), 'thread')}"


def cpu_model(listing: Path = Path("/proc/cpuinfo")) -> str:
    """The CPU's model as Linux lists it; elsewhere the architecture."""
    try:
        lines = listing.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next((model for model in models if model), platform.machine())
