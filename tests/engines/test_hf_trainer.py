"""What transformers' Trainer and Accelerate do on a CPU, and what the recorder sees of a Trainer that is not ours."""

import functools
from pathlib import Path
from typing import Any

import pytest

from harness.recording import Recorder
from harness.trace.reader import read_stream

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def trainer(folder: Path, **settings: Any) -> Any:
    """A plain Trainer of a tiny language model, on eight samples of which some learn more tokens than others."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=16,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    rows = [torch.randint(0, 16, (6,)) for _ in range(8)]
    data = [
        {"input_ids": row, "labels": torch.where(torch.arange(6) < at % 4 + 1, -100, row)}
        for at, row in enumerate(rows)
    ]
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        max_steps=2,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        use_cpu=True,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **settings,
    )
    return transformers.Trainer(transformers.LlamaForCausalLM(config), arguments, train_dataset=data)


def recorded(folder: Path, **settings: Any) -> list[dict[str, Any]]:
    with Recorder(folder / "trace") as recorder:
        trainer(folder / "out", **settings).train()
        recorder.finish()
    return read_stream(folder / "trace" / "rank-0" / "events.jsonl")


def of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["kind"] == kind]


def test_accelerate_takes_fp16_on_a_cpu_and_does_nothing_about_it(tmp_path: Path) -> None:
    made = trainer(tmp_path, fp16=True).accelerator

    assert made.mixed_precision == "fp16"
    assert (made.native_amp, made.scaler) == (False, None)


def test_a_model_is_told_how_many_tokens_its_step_learns(tmp_path: Path) -> None:
    forwards = of(recorded(tmp_path), "forward")
    learned = {event["step"]: 0 for event in forwards}
    for event in forwards:
        learned[event["step"]] += sum(end - start for row in event["learned"]["stretches"] for start, end in row)

    assert [event["items"] for event in forwards] == [learned[event["step"]] for event in forwards]


def test_a_model_that_is_told_and_takes_its_own_mean_is_not_taken_to_have_divided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As MiniMind's forward does, which takes whatever it is given by name."""
    divides = transformers.LlamaForCausalLM.forward

    @functools.wraps(divides)
    def takes_its_own_mean(self: Any, *args: Any, num_items_in_batch: Any = None, **kwargs: Any) -> Any:
        return divides(self, *args, **kwargs)

    monkeypatch.setattr(transformers.LlamaForCausalLM, "forward", takes_its_own_mean)

    assert not [event for event in of(recorded(tmp_path), "forward") if "items" in event]


def test_a_norm_that_is_only_measured_is_no_clipping(tmp_path: Path) -> None:
    assert not of(recorded(tmp_path / "unclipped", max_grad_norm=0.0), "clip")
    assert [event["max_norm"] for event in of(recorded(tmp_path / "clipped", max_grad_norm=1.0), "clip")] == [1.0, 1.0]


def test_gradients_that_the_model_is_asked_to_zero_are_seen(tmp_path: Path) -> None:
    events = recorded(tmp_path)
    zeroed = [event["step"] for event in of(events, "zero_grad")]

    assert zeroed == [0, 0, 1]  # once before the first step
    assert {event["by"] for event in of(events, "zero_grad")} == {"LlamaForCausalLM"}
