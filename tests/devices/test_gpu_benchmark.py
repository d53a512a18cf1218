"""What measures a GPU, as far as it runs without one: at tiny size on the CPU, and on figures made up."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import models
from benchmarks.gpu.fingerprinting import measured
from benchmarks.gpu.host_adamw import HostAdamW
from harness import devices
from harness.families import family

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
CPU = torch.device("cpu")
GOOD: dict[str, Any] = {
    "environment": {"device": "cuda: NVIDIA H200", "cuda": "12.9", "versions": {"torch": "2.11.0", "peft": None}},
    "fingerprint": {
        "way": "fused", "elements": 8_537_000_000, "of the copy": 0.8, "at least": 0.7,
        "equal to the CPU": True, "equal to torch's operations": True, "dtypes equal to the CPU": True,
    },
    "suites": {"exit status": 0, "recipes": 40, "results": {"passed": 2000}, "failed": []},
    "pairs": [{"pair": "p", "verdict": "within_tolerance"}],
    "full": [
        {
            "family": "f", "mode": "lora", "recorded over bare": 1.02, "utilisation": 0.4, "failed": [],
            "peak bytes": 4.2e10, "estimated bytes": 4e10, "checks": {"passed": 20},
        }
    ],
}  # fmt: skip


def page_module() -> Any:
    spec = importlib.util.spec_from_file_location("docs_gpu", ROOT / "docs" / "gpu.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_on_the_page_is_what_was_measured() -> None:
    assert page_module().current(PAGE) == PAGE


def test_without_results_the_page_says_so_and_with_them_it_has_a_row_for_each(tmp_path: Path) -> None:
    table, file = page_module().table, tmp_path / "gpu.json"
    assert table(file) == "Not measured: no GPU was to be had."

    file.write_text(json.dumps(GOOD))
    text = table(file)
    assert text.startswith("On cuda: NVIDIA H200, CUDA 12.9, torch 2.11.0.")
    assert "| fingerprint of 8.54 billion parameters in bf16 (fused) | 0.80 of the copy's rate | at least 0.7 |" in text
    assert "| f, lora, full size: peak memory | 42.0 GB, estimated 40.0 GB |  |" in text
    assert "Not measured" not in text

    file.write_text(json.dumps({name: GOOD[name] for name in ("environment", "suites")}))
    assert table(file).endswith("Not measured: fingerprint, pairs, full.")


def test_what_is_as_it_should_be_misses_nothing() -> None:
    assert command.missed_bounds(GOOD) == []


@pytest.mark.parametrize(
    ("part", "bad", "words"),
    [
        ("fingerprint", {**GOOD["fingerprint"], "of the copy": 0.69}, "0.69 of the copy"),
        ("fingerprint", {**GOOD["fingerprint"], "equal to the CPU": False}, "not equal to the CPU"),
        ("suites", {**GOOD["suites"], "exit status": 1}, "exit status 1"),
        ("pairs", [{"pair": "p", "verdict": "different"}], "p different"),
        ("full", [{**GOOD["full"][0], "recorded over bare": 1.06}], "1.060 of a bare one"),
        ("full", [{**GOOD["full"][0], "failed": ["finite: 1 finding"]}], "finite: 1 finding"),
        ("full", [{"family": "f", "mode": "lora", "error": "x\nOutOfMemoryError: 1 GiB"}], "OutOfMemoryError"),
    ],
)
def test_what_is_not_is_named(part: str, bad: Any, words: str) -> None:
    (line,) = command.missed_bounds({**GOOD, part: bad})
    assert words in line


def test_without_a_gpu_one_line_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(devices, "why_no_cuda", lambda: "torch 2.11.0 sees no GPU")

    assert command.main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gpu: nothing was run: torch 2.11.0 sees no GPU; ")
    assert "4 full configurations were skipped" in line


def test_the_fingerprint_is_measured_and_compared() -> None:
    found = measured(CPU, [(300, 20), (7,), (300, 20)])

    assert found["elements"] == 12007
    assert [value for name, value in found.items() if "equal to" in name] == [True] * 3
    assert found["of the copy"] > 0


def test_adamw_on_the_host_is_adamw() -> None:
    pairs = []
    for kind in (torch.optim.AdamW, HostAdamW):
        torch.manual_seed(0)
        parameters = [torch.nn.Parameter(torch.randn(4, 3)), torch.nn.Parameter(torch.randn(5))]
        optimizer = kind(parameters, lr=1e-2, weight_decay=0.1)
        for _ in range(3):
            for parameter in parameters:
                parameter.grad = torch.randn_like(parameter)
            optimizer.step()
        pairs.append(parameters)

    for one, other in zip(*pairs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("name", "mode"), [("minicpm-llama3-v-2.5", "lora"), ("mini-gemini-7b", "full")])
def test_a_model_of_random_weights_takes_a_step_on_a_batch_of_its_size(name: str, mode: str) -> None:
    recipe = models.recipe_of(name, mode)
    model = models.built(name, recipe, "tiny", CPU).train()
    loss: Any = family(name).loss(model, models.batch_of(name, "tiny", 2, 80, CPU))
    loss.backward()

    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert torch.isfinite(loss)
    assert sum(parameter.grad is not None for parameter in trained) > len(trained) / 2
