"""A tiny LLaVA base directory, written and loaded once, and samples to feed it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.data import SHIPPED, Sample, read_samples, select


@pytest.fixture(scope="session")
def llava() -> Any:
    from harness import stack
    from harness.families import family

    stack.quiet()
    return family("llava-1.5-7b")


@pytest.fixture(scope="session")
def base(llava: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("base")
    llava.write_base(directory)
    return directory


@pytest.fixture(scope="session")
def loaded(llava: Any, base: Path) -> Any:
    import torch

    return llava.load(base, torch.float32)


@pytest.fixture(scope="session")
def of_each_kind() -> dict[str, Sample]:
    """The first shipped sample of every kind."""
    shipped = read_samples(SHIPPED)
    return {kind: select(shipped, (kind,), 1)[0] for kind in ("image", "text", "blank", "several")}
