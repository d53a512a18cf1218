"""Fingerprints of many tensors at once are those of each alone, by operations of torch and by the fused kernel."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from harness.trace import fingerprints as module
from harness.trace.fingerprint import fingerprint, weights
from harness.trace.fingerprints import EAGER, Fingerprints, way_of, why_not_fused

CPU = torch.device("cpu")
WITHOUT_TRITON = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
DTYPES = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool, torch.complex64),
)


def filled(dtype: torch.dtype, *shape: int) -> torch.Tensor:
    count = int(torch.tensor(shape).prod()) * dtype.itemsize
    random = torch.randint(0, 256, (count,), dtype=torch.uint8, generator=torch.Generator().manual_seed(count))
    return (random % 2).bool().view(shape) if dtype is torch.bool else random.view(dtype).view(shape)


def model() -> list[torch.Tensor]:
    """Of every dtype; scalars, nothing at all, slices, what lies otherwise in memory, what begins anywhere."""
    whole = [filled(dtype, *shape) for dtype in DTYPES for shape in ((3, 5), (0, 4), (257,), ())]
    odd = [filled(torch.float16, 8, 40).t(), filled(torch.bfloat16, 999)[1:], filled(torch.int8, 31)[3:20]]
    return [*whole, *odd, filled(torch.float32, 2100), filled(torch.float32, 64, 33)[::2]]


def test_by_operations_of_torch_they_are_those_of_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 100)

    assert Fingerprints(model(), way=EAGER)() == [fingerprint(tensor) for tensor in model()]


def test_of_shards_they_add_up() -> None:
    whole = filled(torch.float64, 70)
    parts = [Fingerprints([whole[:30]], way=EAGER)(), Fingerprints([whole[30:]], start=30, way=EAGER)()]

    assert sum(part[0] for part in parts) % (1 << 64) == fingerprint(whole)


def test_they_follow_values_that_change_and_memory_that_is_exchanged() -> None:
    tensor = filled(torch.float32, 50)
    given = Fingerprints([tensor], way=EAGER)
    seen = [given()]
    tensor.copy_(torch.ones(50))
    seen.append(given())
    tensor.data = torch.arange(50.0)
    seen.append(given())

    assert seen == [[fingerprint(filled(torch.float32, 50))], [fingerprint(torch.ones(50))], [fingerprint(tensor)]]


def test_of_none_and_of_nothing() -> None:
    assert Fingerprints([])() == []
    assert Fingerprints([torch.empty(0)])() == [0]


def test_on_a_cpu_nothing_is_fused() -> None:
    assert way_of(CPU) == EAGER


def test_a_kernel_that_cannot_be_had_is_not_used_and_it_is_said_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_doubts", {})
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    assert why_not_fused(CPU) == "triton is not installed"


@pytest.mark.parametrize(
    ("sums", "why"),
    [
        pytest.param(
            lambda _: torch.zeros(3, dtype=torch.int64), "the kernel gives other numbers than the CPU", id="wrong"
        ),
        pytest.param(lambda _: 1 / 0, "ZeroDivisionError: division by zero", id="broken"),
    ],
)
def test_a_kernel_that_is_wrong_is_not_used(sums: object, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Kernel(module.Eager):
        pass

    monkeypatch.setattr(Kernel, "sums", sums)
    monkeypatch.setattr(module, "_doubts", {})
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(module, "_group", lambda _, flat, first: Kernel(flat, first))

    assert why_not_fused(CPU) == why


def test_a_kernel_that_is_right_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_doubts", {})
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(module, "_group", lambda _, flat, first: module.Eager(flat, first))

    assert why_not_fused(CPU) is None


INTERPRETED = """
import json, sys
sys.path.insert(0, {folder!r})
import torch
from test_fingerprints import filled, model
from harness.trace import fused_fingerprint
from harness.trace.fingerprint import fingerprint, weights
from harness.trace.fingerprints import Fingerprints
fused_fingerprint.Fused.__init__.__defaults__ = (0, fused_fingerprint.Shape(256, 4, 4))
given = model()
aligned = [filled(torch.float32, 600), filled(torch.float32, 4, 256), filled(torch.float32, 5)]
print(json.dumps([
    Fingerprints(given, way="fused")() == [fingerprint(one) for one in given],
    Fingerprints(aligned, start=(1 << 33) + 5, way="fused")() == [fingerprint(one, (1 << 33) + 5) for one in aligned],
]))
"""


@WITHOUT_TRITON
def test_the_fused_kernel_gives_the_same_bits() -> None:
    """By triton's own interpreter, which runs the kernel on a CPU, element by element as the GPU would."""
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    code = INTERPRETED.format(folder=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)

    assert json.loads(done.stdout.splitlines()[-1]) == [True, True]


COMPILED = """
import re, sys, triton, triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from harness.trace.fused_fingerprint import Shape, add_weighted
kinds = {"addresses": "*i64", "sizes": "*i64", "counts": "*i32", "sums": "*i64", "first": "i64"}
cut = {"WORD": tl.int16, "PLACES": Shape().places, "TOGETHER": Shape().together, "ALIGNED": True}
source = ASTSource(add_weighted, {**kinds, **dict.fromkeys(cut, "constexpr")}, cut)
ptx = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": Shape().warps}).asm["ptx"]
print(*sorted(set(re.findall(r"ld\\.global\\.v4\\.b32|(?:atom|red)[.\\w]*u64", ptx))))
"""


@WITHOUT_TRITON
def test_compiled_for_a_gpu_the_kernel_reads_sixteen_bytes_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", COMPILED], check=False, capture_output=True, text=True)

    assert "ld.global.v4.b32" in done.stdout, done.stderr
    assert "u64" in done.stdout


def test_far_weights_are_the_same_where_torch_has_come_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = (0, (1 << 20) - 3, 1 << 40)
    by_numpy = [weights(start, 70).tolist() for start in starts]
    monkeypatch.delitem(sys.modules, "numpy")

    assert [weights(start, 70).tolist() for start in starts] == by_numpy
