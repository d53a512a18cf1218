"""Drafts of intent files: few lines, silent on the run that they come from, and not on one that does something else."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import harness
from harness.intents import intent_from
from harness.intents.compacting import patterns_for
from harness.intents.drafting import draft, findings_of
from harness.intents.writing import as_text
from harness.patterns import meets
from harness.refusal import Refused
from harness.trace.reader import read_trace
from tests.face.conftest import STEPS, batch, small_model

Trace = Any


def drafted(trace: Trace) -> str:
    return as_text(draft(trace))


@pytest.mark.parametrize("run", ["connector", "lora", "vision"])
def test_a_run_is_silent_under_its_own_draft(run: str, trace_of: Callable[[str], Trace], tmp_path: Path) -> None:
    trace = trace_of(run)
    file = draft(trace)
    text = as_text(file)

    results = harness.check(trace.directory, yaml.safe_load(text))

    assert results.ok, str(results)
    assert findings_of(trace, file) == []
    assert intent_from(yaml.safe_load(text), "") == file
    assert len(text.splitlines()) <= 30
    assert all(len(line) <= 120 for line in text.splitlines())


def test_a_draft_is_what_people_would_write(trace_of: Callable[[str], Trace]) -> None:
    assert yaml.safe_load(drafted(trace_of("lora"))) == {
        "family": "llava-1.5-7b",
        "trainable": ["connector"],
        "frozen": ["llm", "vision"],
        "adapters": {"method": "lora", "components": ["language"], "targets": ["q_proj", "v_proj"], "rank": 4,
                     "alpha": 16.0, "dropout": 0.0, "modules_to_save": ["multi_modal_projector"]},
        "precision": "bf16",
        "accumulation": 1,
        "clip_norm": 1.0,
        "optimizer": {"learning_rate": 0.001, "schedule": "constant", "weight_decay": 0.0},
        "save": {"what": "adapter", "processor": "LlavaProcessor", "tokenizer": True},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("good", "run", "checks"),
    [
        pytest.param("connector", "vision", {"trainable_set_as_intended", "frozen_parameters_unchanged"}, id="tower"),
        pytest.param("lora", "connector", {"run.mechanism_active", "adapters_where_intended"}, id="adapters missing"),
        pytest.param("connector", "no-processor", {"processor_reloads"}, id="processor not saved"),
        pytest.param("lora", "connector", {"layers_compute_as_asked"}, id="another precision"),
        pytest.param("vision", "connector", {"run.mechanism_active"}, id="another accumulation"),
    ],
)  # fmt: skip
def test_a_run_that_does_something_else_fails_under_the_draft(
    good: str, run: str, checks: Collection[str], trace_of: Callable[[str], Trace]
) -> None:
    results = harness.check(trace_of(run).directory, yaml.safe_load(drafted(trace_of(good))))

    assert set(checks) <= {result.check for result in results if result.status.value == "failed"}


def small_lora(trace: Path, early: bool = False) -> Trace:
    """A training of adapters on a small model, recorded; with its optimizer made before them, if `early`."""
    import torch
    from peft import LoraConfig, get_peft_model

    with harness.record(trace):
        model: Any = small_model()
        parameters = list(model.parameters()) if early else []
        optimizer = torch.optim.AdamW(parameters, lr=1e-2) if early else None
        model = get_peft_model(model, LoraConfig(r=2, target_modules=["layer"]))
        optimizer = optimizer or torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
        for step in range(STEPS):
            model(**batch(step))["loss"].backward()
            optimizer.step()
            optimizer.zero_grad()
    return read_trace(trace)


def test_an_optimizer_made_before_the_adapters_fails_under_the_draft_of_a_good_run(tmp_path: Path) -> None:
    good = small_lora(tmp_path / "good")
    settings = yaml.safe_load(drafted(good))

    results = harness.check(small_lora(tmp_path / "early", early=True).directory, settings)

    assert settings["adapters"]["targets"] == ["layer"]
    assert harness.check(good.directory, settings).ok
    failed = {result.check for result in results if result.status.value == "failed"}
    assert failed & {"adapters_where_intended", "optimizer_holds_trainables_once"}


def test_a_run_that_trained_nothing_gives_no_draft(tmp_path: Path) -> None:
    with harness.record(tmp_path / "trace"):
        small_model()

    with pytest.raises(Refused, match="nothing was trained in it"):
        draft(read_trace(tmp_path / "trace"))


KNOWN = tuple(
    f"model.{part}.layers.{layer}.{leaf}"
    for part in ("vision", "language")
    for layer in range(12)
    for leaf in ("attn.q_proj.weight", "attn.q_proj.bias", "mlp.weight")
)


@pytest.mark.parametrize(
    ("wanted", "patterns"),
    [
        ([name for name in KNOWN if ".vision." in name], ("model.vision",)),
        ([name for name in KNOWN if ".language.layers.1" in name], ("model.language.layers.{1,10..11}",)),
        ([name for name in KNOWN if name.endswith("bias")],
         ("model.{vision,language}.layers.{0..11}.attn.q_proj.bias",)),
        ([KNOWN[0]], ("model.vision.layers.0.attn.q_proj.weight",)),
        (list(KNOWN), ("model",)),
        ([], ()),
    ],
)  # fmt: skip
def test_patterns_are_few(wanted: list[str], patterns: tuple[str, ...]) -> None:
    assert set(patterns_for(wanted, KNOWN)) == set(patterns)


@given(st.sets(st.sampled_from(KNOWN)))
@settings(max_examples=60, deadline=None, database=None, derandomize=True)
def test_patterns_are_about_just_what_is_wanted(wanted: set[str]) -> None:
    found = patterns_for(wanted, KNOWN)

    assert {name for name in KNOWN if any(meets(pattern, name) for pattern in found)} == wanted
