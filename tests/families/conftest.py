"""Tiny base directories of the families, written and loaded once, and samples to feed them."""

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
def minicpm() -> Any:
    """The family, whose code comes in its directories."""
    from harness import stack
    from harness.families import family

    stack.quiet()
    return family("minicpm-llama3-v-2.5")


@pytest.fixture(scope="session")
def minicpm_base(minicpm: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("minicpm")
    minicpm.write_base(directory)
    return directory


@pytest.fixture(scope="session")
def minicpm_loaded(minicpm: Any, minicpm_base: Path) -> Any:
    import torch

    return minicpm.load(minicpm_base, torch.float32)


@pytest.fixture(scope="session")
def mini_gemini(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Mini-Gemini's families and their tiny directories."""
    from harness import stack
    from tests.families.mini_gemini_bases import MiniGeminis

    stack.quiet()
    return MiniGeminis(tmp_path_factory.mktemp("mini_gemini"))


@pytest.fixture(scope="session")
def of_each_kind() -> dict[str, Sample]:
    """The first shipped sample of every kind."""
    shipped = read_samples(SHIPPED)
    return {kind: select(shipped, (kind,), 1)[0] for kind in ("image", "text", "blank", "several")}


@pytest.fixture(scope="session")
def omnilmm() -> Any:
    """The family, whose code comes in its directories."""
    from harness import stack
    from harness.families import family

    stack.quiet()
    return family("omnilmm-12b")


@pytest.fixture(scope="session")
def omnilmm_base(omnilmm: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("omnilmm")
    omnilmm.write_base(directory)
    return directory


@pytest.fixture(scope="session")
def omnilmm_listed_base(omnilmm: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the same model with tune_clip False."""
    from harness.families import family

    directory = tmp_path_factory.mktemp("omnilmm-listed")
    family("omnilmm-12b-no-tune-clip").write_base(directory)
    return directory
