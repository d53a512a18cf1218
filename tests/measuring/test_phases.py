"""What is counted while a model is loaded, built, tuned and saved."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from harness.machine import resident
from harness.measuring.phases import Phases
from tests.measuring.test_on_cuda import CUDA, Allocator, allocator

assert allocator  # a fixture
CPU = torch.device("cpu")


def bytes_more(count: int) -> torch.Tensor:
    return torch.zeros(count, dtype=torch.uint8)


def held_by_torch(phases: Phases) -> dict[str, dict[str, int]]:
    return {name: {what: held[what] for what in ("peak", "left")} for name, held in phases.held.items()}


def test_what_a_phase_took_at_the_most_and_left_is_told_to_the_byte() -> None:
    phases, held = Phases(CPU), []
    with phases.of("build"):
        held.append(bytes_more(300))
        bytes_more(1000)

    assert held_by_torch(phases) == {"build": {"peak": 1300, "left": 300}}


def test_what_only_a_cycle_holds_is_not_left() -> None:
    class Node:
        other: Any = None
        value = bytes_more(0)

    phases = Phases(CPU)
    gc.disable()
    with phases.of("build"):
        node = Node()
        node.other, node.value = node, bytes_more(400)
        del node
    gc.enable()

    assert held_by_torch(phases) == {"build": {"peak": 400, "left": 0}}


def test_a_phase_that_fails_is_told_and_a_later_one_can_be_watched() -> None:
    phases = Phases(CPU)
    with pytest.raises(KeyError), phases.of("load"):
        raise KeyError
    with phases.of("build"):
        bytes_more(10)

    assert (phases.held["load"]["left"], phases.held["build"]["peak"]) == (0, 10)


def test_a_tensor_of_a_file_that_is_mapped_counts_and_its_copy_too(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    save_file({"a": torch.ones(1000)}, tmp_path / "a.safetensors")
    phases = Phases(CPU)
    with phases.of("load"):
        mapped = load_file(tmp_path / "a.safetensors")["a"]
        halved = mapped.half()

    assert halved.nbytes == 2000
    assert phases.held["load"]["left"] == phases.held["load"]["peak"] == pytest.approx(6000, abs=200)


@pytest.mark.skipif(sys.platform != "linux", reason="no other system forgets what was the most")
def test_what_is_not_torchs_is_seen_by_the_system_and_not_by_the_next_phase() -> None:
    phases, size = Phases(CPU), 64 << 20
    for name in ("load", "build"):
        with phases.of(name):
            len(b"\1" * (size if name == "load" else 1))

    assert phases.held["load"]["peak"] == 0
    assert phases.held["load"]["resident"] > 0.9 * size > 4 * phases.held["build"]["resident"]


def test_where_the_system_cannot_forget_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(resident, "_FORGET", tmp_path / "no" / "such")
    phases = Phases(CPU)
    with phases.of("load"):
        pass

    assert (phases.held["load"]["resident"], resident.most() > 0) == (0, True)


def test_tensors_are_made_in_one_thread_while_a_phase_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "HF_DEACTIVATE_ASYNC_LOAD"
    for before in (None, "0"):
        monkeypatch.setenv(name, before) if before else monkeypatch.delenv(name, raising=False)
        with Phases(CPU).of("load"):
            assert os.environ[name] == "1"
        assert os.environ.get(name) == before


def test_on_a_gpu_a_model_is_loaded_in_the_hosts_memory(allocator: Allocator) -> None:
    phases, held = Phases(CUDA), []
    for name in ("load", "build", "tune", "save"):
        with phases.of(name):
            held.append(bytes_more(100))
            allocator.take(7)

    on_host, on_gpu = {"peak": 100, "left": 100}, {"peak": 7, "left": 7}
    assert held_by_torch(phases) == {"load": on_host, "build": on_host, "tune": on_gpu, "save": on_gpu}


def test_what_was_given_is_weighed_by_its_files_and_what_comes_later_apart(tmp_path: Path) -> None:
    for name, size in (("a.safetensors", 40), ("config.json", 1000), ("part.bin", 9)):
        (tmp_path / name).write_bytes(bytes(size))
    model, phases = nn.BatchNorm1d(2, affine=False), Phases(CPU)
    buffers = 2 * 4 * 2 + 8
    phases.loaded(model, tmp_path, [tmp_path / "part.bin"], twice=True)
    model.register_buffer("projection", torch.zeros(5))

    assert phases.to_json(model)["given"] == {
        "files": 49,
        "buffers": buffers,
        "laid over": 9 + buffers,
        "buffers of adapters": 20,
    }
