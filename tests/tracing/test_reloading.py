"""The newest directory that a training saved is loaded again, and held against what the model was."""

from __future__ import annotations

import copy
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.cli.main import status_of
from harness.recording.scripts import Options, ScriptRecorder
from harness.recording.scripts.attached import watchers_of
from harness.reloading.jobs import reload
from harness.trace.reader import read_trace
from harness.tracing import reloading
from harness.tracing.reloading import load_again

LOADS, VALUES, OUTPUTS, PROCESSOR = (
    "saved_directory_comes_back", "values_come_back", "outputs_come_back", "processor_comes_back",
)  # fmt: skip


class Here:
    """Runs a job in this process, which has imported what it needs."""

    def __init__(self, path: object) -> None:
        pass

    def run(self, job: Any) -> None:
        reload(job.argument)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from harness.families import family

    place = tmp_path_factory.mktemp("base")
    family("llava-1.5-7b").write_base(place)
    return place


class Training:
    """A few steps of a tiny LLaVA, and what may be done with it while it is recorded."""

    def __init__(self, base: Path, place: Path, lora: bool) -> None:
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor

        torch.manual_seed(0)
        self.torch, self.base, self.saved = torch, base, place / "saved"
        self.processor = AutoProcessor.from_pretrained(base)
        self.model = AutoModelForImageTextToText.from_pretrained(base).train()
        self.model.model.vision_tower.requires_grad_(False)
        if lora:
            from peft import LoraConfig, get_peft_model

            self.model = get_peft_model(self.model, LoraConfig(r=4, target_modules=r".*language_model.*\.q_proj"))
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.before = copy.deepcopy(self.model.state_dict())
        self.optimizer = torch.optim.AdamW(trained, lr=1e-3)

    def steps(self, count: int = 2) -> None:
        config = self.model.config
        ids = self.torch.randint(10, 200, (2, 4 + config.image_seq_length))
        ids[:, 2 : 2 + config.image_seq_length] = config.image_token_id
        side = config.vision_config.image_size
        for _ in range(count):
            pixels = self.torch.randn(2, 3, side, side)
            self.model(input_ids=ids, pixel_values=pixels, labels=ids.clone()).loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()

    def save(self, **how: Any) -> None:
        self.model.save_pretrained(self.saved, **how)
        self.processor.save_pretrained(self.saved)

    def rewritten(self, change: Callable[[dict[str, Any]], None], file: str = "config.json") -> None:
        place = self.saved / file
        facts = json.loads(place.read_text())
        change(facts)
        place.write_text(json.dumps(facts))

    def without_a_tensor(self) -> None:
        from safetensors.torch import load_file, save_file

        file = next(self.saved.glob("model*.safetensors"))
        tensors = load_file(file)
        del tensors[sorted(name for name in tensors if "norm" in name)[0]]
        save_file(tensors, file, {"format": "pt"})


def clean(one: Training) -> None:
    one.steps()
    one.save()


def a_tensor_is_lost(one: Training) -> None:
    clean(one)
    one.without_a_tensor()


def stale(one: Training) -> None:
    one.steps()
    one.save(state_dict=one.before)


def early(one: Training) -> None:
    clean(one)
    one.steps(1)


def rounded(one: Training) -> None:
    one.steps()
    one.save(state_dict={name: value.bfloat16() for name, value in one.model.state_dict().items()})


def another_setting(one: Training) -> None:
    clean(one)
    one.rewritten(lambda facts: facts["text_config"].update(rms_norm_eps=0.5))


def no_processor(one: Training) -> None:
    one.steps()
    one.model.save_pretrained(one.saved)
    one.processor.tokenizer.save_pretrained(one.saved)


def no_adapter_file(one: Training) -> None:
    clean(one)
    (one.saved / "adapter_model.safetensors").unlink()


def loaded_again(
    base: Path,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    do: Callable[[Training], None],
    lora: bool = False,
) -> dict[str, Any]:
    return results_of(place, monkeypatch, lambda: do(Training(base, place, lora)))


def results_of(
    place: Path, monkeypatch: pytest.MonkeyPatch, train: Callable[[], None], trusted: bool = False
) -> dict[str, Any]:
    """The results of a training that was recorded and loaded again, by check."""
    recorder = ScriptRecorder(Options(str(place), last_look=True, reload=True))
    recorder.watchers = watchers_of(recorder)
    with recorder:
        train()
        recorder.finish()
    monkeypatch.setattr(reloading, "Launcher", Here)
    trace = load_again(place, read_trace(place / "trace"), trusted=trusted)
    assert not (place / "reload" / "trace").exists()
    return {result.check: result for result in harness.check(trace.directory)}


@pytest.mark.parametrize("lora", [False, True], ids=["whole", "adapter"])
def test_a_good_save_is_silent(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lora: bool) -> None:
    results = loaded_again(base, tmp_path, monkeypatch, clean, lora)

    passed = {LOADS, VALUES, OUTPUTS, *(() if lora else (PROCESSOR,))}
    assert {name for name, one in results.items() if one.status.value == "passed"} >= passed, results
    assert not [one for one in results.values() if one.status.value not in ("passed", "not_applicable")]


@pytest.mark.parametrize(
    ("do", "check", "kind", "status", "lora"),
    [
        pytest.param(a_tensor_is_lost, LOADS, "KeysLost", "failed", False, id="a tensor is lost"),
        pytest.param(stale, VALUES, "NotAsSaved", "failed", False, id="weights from before training"),
        pytest.param(early, VALUES, "SavedEarly", "warned", False, id="saved before the last step"),
        pytest.param(rounded, VALUES, "SavedRounded", "warned", False, id="rounded"),
        pytest.param(another_setting, OUTPUTS, "OtherOutputs", "failed", False, id="another setting"),
        pytest.param(no_processor, PROCESSOR, "ProcessorLost", "failed", False, id="no processor"),
        pytest.param(no_adapter_file, LOADS, "DirectoryDoesNotLoad", "failed", True, id="no adapter"),
    ],
)
def test_a_bad_save_is_found(
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    do: Callable[[Training], None],
    check: str,
    kind: str,
    status: str,
    lora: bool,
) -> None:
    results = loaded_again(base, tmp_path, monkeypatch, do, lora)

    assert results[check].status.value == status, results[check]
    assert {finding.kind for finding in results[check].findings} == {kind}


def test_a_directory_that_is_gone_is_said_to_be(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def removed(one: Training) -> None:
        clean(one)
        shutil.rmtree(one.saved)

    results = loaded_again(base, tmp_path, monkeypatch, removed)

    assert results[LOADS].status.value == "blocked"
    assert results[LOADS].reason == "every saved directory is gone"


CODE = {
    "configuration_mine.py": """
from transformers import LlamaConfig


class MineConfig(LlamaConfig):
    pass
""",
    "modeling_mine.py": """
from transformers import LlamaForCausalLM

from .configuration_mine import MineConfig


class Mine(LlamaForCausalLM):
    config_class = MineConfig

    def forward(self, *args, **kwargs):
        output = super().forward(*args, **kwargs)
        output.logits = output.logits * FACTOR
        return output
""",
}


def trained_with_code(saved: Path, factor: int) -> None:
    """A few steps of a model that is saved with code of its own beside it."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    ).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(2):
        ids = torch.randint(64, (2, 8))
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(saved)
    for name, text in CODE.items():
        (saved / name).write_text(text.replace("FACTOR", str(factor)))
    names = {"AutoConfig": "configuration_mine.MineConfig", "AutoModelForCausalLM": "modeling_mine.Mine"}
    facts = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**facts, "auto_map": names}))


@pytest.mark.parametrize(
    ("factor", "trusted", "status"),
    [(1, False, "blocked"), (1, True, "passed"), (2, True, "failed")],
    ids=["unasked", "asked", "code that computes something else"],
)
def test_code_in_a_directory_runs_if_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: int, trusted: bool, status: str
) -> None:
    results = results_of(tmp_path, monkeypatch, lambda: trained_with_code(tmp_path / "saved", factor), trusted)

    assert results[OUTPUTS].status.value == status, results[LOADS]
    assert results[VALUES].status.value == ("passed" if trusted else "blocked")
    assert trusted or results[LOADS].reason == (
        "saved names code of its own, which is not run unasked: "
        "say trust_remote_code: true in an intent file, or name a loader there"
    )


SCRIPT = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.randint(2, (8,))).backward()
    optimizer.step()
torch.save(model.state_dict(), "model.pt")
"""
LOADER = """
import torch
from torch import nn


def load(directory):
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))
    model.load_state_dict(torch.load(directory / "model.pt", weights_only=True))
    return model


def forgets(directory):
    model = load(directory)
    model[1].reset_running_stats()
    nn.init.zeros_(model[3].bias)
    return model
"""


@pytest.mark.parametrize(
    ("loader", "status", "said"),
    [
        pytest.param(None, 1, "is of no format that Auto classes load: name a function", id="none"),
        pytest.param("mine:load", 0, "", id="its own"),
        pytest.param("mine:forgets", 1, "ParametersDiffer", id="a wrong one"),
    ],
)
def test_a_format_of_ones_own_takes_a_loader(
    loader: str | None,
    status: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "mine.py").write_text(LOADER)
    (tmp_path / "intent.yaml").write_text(
        f"save: {{what: native, native_file: model.pt, loader: '{loader}'}}" if loader else "precision: fp32"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    ended = status_of(["trace", "--reload", "auto", "--intent", "intent.yaml", "--", sys.executable, "train.py"])

    results = [json.loads(line) for line in (tmp_path / "harness-out" / "results.jsonl").read_text().splitlines()]
    assert ended == status, capfd.readouterr().out
    assert said in json.dumps(results)
    assert not (tmp_path / "harness-out" / "reload").exists()
