"""Two failures that people really had: a vision-only save that no longer loads, and an adapter on the wrong base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.checkpoint.repair import repair
from harness.checks import CHECKS
from harness.checks.judging import judge_all
from harness.faults import FAULTS
from harness.intent import Intent
from harness.launch import Job, Launcher
from harness.recipe import Recipe
from harness.result import Result, Status
from harness.running.fault_table import fault_row
from harness.running.session import Session
from harness.trace.reader import read_trace

ALL = [check.name for check in CHECKS]
VISION_ONLY = "minicpm_v/vision+connector[fp32]"
ADAPTER = "minicpm_v/lora-qkv[fp32]"


def failed(results: Any) -> dict[str, Result]:
    return {result.check: result for result in results if result.status not in (Status.PASSED, Status.NOT_APPLICABLE)}


@pytest.fixture
def injected(warm: Any, bases: Path, shipped: Any, tmp_path: Path) -> Any:
    """Inject a fault into a shipped recipe."""

    def run(fault: str, name: str) -> dict[str, Result]:
        return failed(fault_row(FAULTS[fault], name, shipped[name], warm, tmp_path, bases).results)

    return run


def test_a_save_without_processor_is_caught_twice_with_its_true_cause(injected: Any) -> None:
    results = injected("tokenizer_saved_instead_of_processor", VISION_ONLY)
    cause = "the trainer saved the tokenizer, not the processor"

    assert set(results) >= {"processor_reloads", "saved_directory_complete"}
    (lost,) = results["processor_reloads"].findings
    assert (lost.kind, lost.expected, lost.cause) == ("ProcessorLost", "MiniCPMVProcessor", cause)
    assert lost.seen == "MiniCPMVTokenizerFast: AutoProcessor fell back to the tokenizer"
    assert "preprocessor_config.json" in lost.where
    missing = [f for f in results["saved_directory_complete"].findings if f.kind == "FileMissing"]
    assert {f.cause for f in missing} == {cause}


def test_files_from_the_base_repair_it(injected: Any, warm: Any, bases: Path, tmp_path: Path) -> None:
    injected("tokenizer_saved_instead_of_processor", VISION_ONLY)
    (run,) = (tmp_path / "runs").iterdir()

    copied = repair(run / "saved", bases / "minicpm-llama3-v-2.5")
    request = json.loads((run / "reload" / "request.json").read_text())
    again = Job("harness.reloading.jobs:reload", request, str(tmp_path / "again.txt"))
    assert Launcher(warm.reloaders).run(again).code == 0
    trace = read_trace(run / "trace")
    results = judge_all(CHECKS, "r", Intent.model_validate(trace.header["intent"]), trace)

    assert {"preprocessor_config.json", "processing_minicpmv.py", "image_processing_minicpmv.py"} <= set(copied)
    assert failed(results) == {}


@pytest.mark.parametrize("name", ["remedy-files-from-base", "remedy-base-and-vision-weights"])
def test_the_published_remedies_pass(warm: Any, bases: Path, shipped: Any, tmp_path: Path, name: str) -> None:
    recipe = shipped[f"minicpm_v/{name}"]

    results = Session(warm, tmp_path, bases=bases).results(name, recipe, ALL)

    assert failed(results.values()) == {}


def test_an_adapter_on_a_plain_llama_is_refused_with_the_prefix_that_differs(injected: Any) -> None:
    results = injected("adapter_names_another_base", ADAPTER)
    (finding,) = results["saved_directory_loads"].findings

    assert finding.kind == "WrongBase"
    assert "under llm.model.layers" in finding.seen
    assert "such as MiniCPMV" in finding.seen
    assert "LlamaForCausalLM, whose are under model.layers" in finding.seen


def test_targets_of_another_model_end_the_run_with_the_prefix_that_differs(
    warm: Any, bases: Path, tmp_path: Path
) -> None:
    targets = r"llm\..*layers\.\d+\.self_attn\.(q_proj|k_proj|v_proj)"
    recipe = Recipe(family="llava-1.5-7b", lora={"rank": 4, "targets": targets})

    results = Session(warm, tmp_path, bases=bases).results("wrong", recipe, ALL)
    (finding,) = results["run.completed"].findings

    assert finding.where.startswith("stage tune")
    assert "the targets begin with 'llm'" in finding.seen
    assert "lie under model.language_model.layers and model.vision_tower.encoder.layers" in finding.seen
