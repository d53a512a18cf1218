"""The formulas that stand in for DeepSpeed's estimators, against what those give, and which of the two is asked."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from harness import stack
from harness.memory.estimators import Installed, WrittenOut, estimators

PARAMETERS, LARGEST = 8_537_092_336, 525_336_576
# What deepspeed 0.19.8 gives for these, on one host: bytes on the host and on each GPU.
ZERO2 = {
    (1, False): (51_222_554_016, 170_741_846_720),
    (1, True): (204_890_216_064, 17_074_184_672),
    (2, False): (102_445_108_032, 93_908_015_696),
    (2, True): (204_890_216_064, 17_074_184_672),
    (8, False): (409_780_432_128, 36_282_642_428),
    (8, True): (409_780_432_128, 17_074_184_672),
}
ZERO3 = {
    (1, False, False): (3_152_019_456, 155_769_008_352),
    (1, True, False): (204_890_216_064, 19_175_530_976),
    (1, True, True): (230_501_493_072, 2_101_346_304),
    (2, False, False): (6_304_038_912, 78_935_177_328),
    (2, True, False): (204_890_216_064, 10_638_438_640),
    (2, True, True): (230_501_493_072, 2_101_346_304),
    (8, False, False): (25_216_155_648, 21_309_804_060),
    (8, True, False): (204_890_216_064, 4_235_619_388),
    (8, True, True): (230_501_493_072, 2_101_346_304),
}


@pytest.fixture(autouse=True)
def _asked_anew():
    estimators.cache_clear()
    yield
    estimators.cache_clear()


@pytest.mark.parametrize(("gpus", "offload"), ZERO2)
def test_stage_2_written_out_is_what_deepspeed_gives(gpus: int, offload: bool) -> None:
    assert WrittenOut().zero2(PARAMETERS, gpus, offload=offload) == ZERO2[gpus, offload]


@pytest.mark.parametrize(("gpus", "optimizer", "weights"), ZERO3)
def test_stage_3_written_out_is_what_deepspeed_gives(gpus: int, optimizer: bool, weights: bool) -> None:
    given = WrittenOut().zero3(PARAMETERS, LARGEST, gpus, optimizer=optimizer, weights=weights)

    assert given == ZERO3[gpus, optimizer, weights]


def test_an_installed_deepspeed_is_asked_and_agrees_with_the_formulas() -> None:
    if not stack.has("deepspeed"):
        pytest.skip("deepspeed is not installed: nox -s engines has it")
    asked, formulas = estimators(), WrittenOut()

    assert isinstance(asked, Installed)
    for gpus in (1, 3, 8):
        for offload in (False, True):
            assert asked.zero2(PARAMETERS, gpus, offload=offload) == formulas.zero2(PARAMETERS, gpus, offload=offload)
        for optimizer, weights in ((False, False), (True, False), (True, True)):
            chosen = {"optimizer": optimizer, "weights": weights}
            assert asked.zero3(PARAMETERS, LARGEST, gpus, **chosen) == formulas.zero3(
                PARAMETERS, LARGEST, gpus, **chosen
            )


@pytest.fixture
def deepspeed(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A package of that name, whose estimators give nothing that the formulas would."""
    found = {name: ModuleType(name) for name in ("deepspeed", "deepspeed.runtime", "deepspeed.runtime.zero")}
    second, third = (ModuleType(f"deepspeed.runtime.zero.{name}") for name in ("stage_1_and_2", "stage3"))
    second.estimate_zero2_model_states_mem_needs = lambda parameters, gpus, nodes, offload: (nodes, gpus)  # type: ignore[attr-defined]
    third.estimate_zero3_model_states_mem_needs = lambda *given: (given[3], given[2], 0)  # type: ignore[attr-defined]
    for name, module in {**found, second.__name__: second, third.__name__: third}.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(stack, "has", lambda library: True)
    return found["deepspeed"]


def test_what_is_installed_is_asked_about_one_host(deepspeed: ModuleType) -> None:
    assert estimators().zero2(5, 7, offload=True) == (1, 7)
    assert estimators().zero3(5, 3, 7, optimizer=True, weights=True) == (1, 7)
    assert estimators().name.startswith("the estimators of deepspeed")


def test_one_that_does_not_import_is_as_good_as_none(deepspeed: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    del sys.modules["deepspeed.runtime.zero.stage3"].estimate_zero3_model_states_mem_needs  # type: ignore[attr-defined]

    assert estimators().name == "DeepSpeed's published formulas"


def test_a_folder_of_its_name_is_not_deepspeed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "of_nobody").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))

    assert not stack.has("of_nobody")
