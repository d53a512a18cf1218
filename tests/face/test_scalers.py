"""Gradient scalers of other people's trainings, as they really turn them on."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch

RULE = "scaler_on_exactly_for_fp16"
CONTRACT = ("gradients_unscaled_before_clip", "skipped_steps_change_nothing", "scale_backs_off_and_recovers")
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without CUDA")


def cpu(dtype: torch.dtype) -> Any:
    return torch.autocast("cpu", dtype=dtype)


def trained_under(autocast: Any, scaler: Any, batch_of: Any, *, fused: bool = False, unscales: bool = True) -> Any:
    """A training of the connector under an autocast and with a scaler, each made when it starts."""

    class Scaled:
        def run(self, model: Any) -> None:
            model.requires_grad_(False)
            model.connector.requires_grad_(True)
            trained = [p for p in model.parameters() if p.requires_grad]
            optimizer = torch.optim.AdamW(trained, lr=1e-2, fused=fused)
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
            scales = scaler()
            model.train()
            for step in range(3):
                with autocast():
                    loss = model(**batch_of(step))["loss"]
                scales.scale(loss).backward()
                before = scales.get_scale()
                if unscales:
                    scales.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(trained, 1.0)
                scales.step(optimizer)
                scales.update()
                optimizer.zero_grad()
                if scales.get_scale() >= before:
                    schedule.step()

    return Scaled()


def said(results: Any, name: str) -> tuple[str, set[str]]:
    (result,) = [result for result in results if result.check == name]
    return result.status.value, {finding.kind for finding in result.findings}


def off() -> Any:
    return torch.amp.GradScaler("cpu", enabled=False)


@pytest.mark.parametrize(
    ("autocast", "scaler", "expected"),
    [
        pytest.param(lambda: cpu(torch.float16), lambda: torch.amp.GradScaler("cpu"), ("passed", set()), id="fp16"),
        pytest.param(lambda: cpu(torch.float16), off, ("failed", {"ScalerMissing"}), id="off under fp16"),
        pytest.param(contextlib.nullcontext, off, ("passed", set()), id="off under fp32"),
        pytest.param(
            lambda: cpu(torch.bfloat16),
            lambda: torch.amp.GradScaler("cpu"),
            ("warned", {"ScalerUseless"}),
            id="bf16 too",
        ),
        pytest.param(
            contextlib.nullcontext,
            lambda: torch.cuda.amp.GradScaler(enabled=True),
            ("failed", {"ScalerUnneeded"}),
            id="on under fp32, for CUDA where there is none",
            marks=without_cuda,
        ),
        pytest.param(
            torch.cuda.amp.autocast,
            lambda: torch.cuda.amp.GradScaler(enabled=True),
            ("passed", set()),
            id="fp16 for CUDA where there is none",
            marks=without_cuda,
        ),
        pytest.param(
            torch.cuda.amp.autocast,
            lambda: torch.cuda.amp.GradScaler(enabled=False),
            ("failed", {"ScalerMissing"}),
            id="off under fp16 for CUDA where there is none",
            marks=without_cuda,
        ),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_scaler_is_judged_by_what_was_asked(recorded, batch_of, autocast, scaler, expected) -> None:
    results = recorded(trained_under(autocast, scaler, batch_of))

    assert said(results, RULE) == expected
    assert {said(results, name)[0] for name in CONTRACT} == {"passed"}


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
def test_a_skipped_step_is_one_however_the_optimizer_skips_it(recorded, batch_of, tmp_path, fused) -> None:
    from harness.trace.reader import read_trace

    high = lambda: torch.amp.GradScaler("cpu", init_scale=2.0**40, backoff_factor=2.0**-24)  # noqa: E731
    training = trained_under(lambda: cpu(torch.float16), high, batch_of, fused=fused)
    results = recorded(training)

    assert [step["skipped"] for step in read_trace(tmp_path / "trace").steps] == [True, False, False]
    assert [said(results, name) for name in (*CONTRACT, "gradients_finite")] == [("passed", set())] * 4


@pytest.mark.parametrize(
    "scaler",
    [
        pytest.param(lambda: torch.amp.GradScaler("cpu"), id="cpu"),
        pytest.param(torch.cuda.amp.GradScaler, id="for CUDA where there is none", marks=without_cuda),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_clipping_what_was_never_unscaled_is_found(recorded, batch_of, scaler) -> None:
    results = recorded(trained_under(lambda: cpu(torch.float16), scaler, batch_of, unscales=False))

    assert said(results, "gradients_unscaled_before_clip") == ("failed", {"ClippedScaled"})


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(torch.bfloat16, ("passed", set())), (torch.float16, ("failed", {"ComputedInOtherDtype"}))],
    ids=["reaches autocast", "does not reach autocast"],
)
def test_a_dtype_that_was_asked_for_reaches_the_layers_or_is_missed(
    recorded, batch_of, intent, dtype, expected
) -> None:
    promised = {**intent, "mechanisms": {"clip_norm": 1.0, "autocast": "bfloat16"}}
    results = recorded(trained_under(lambda: cpu(dtype), lambda: torch.amp.GradScaler("cpu"), batch_of), promised)

    assert said(results, "layers_compute_as_asked") == expected
    assert said(results, "master_weights_in_fp32") == ("passed", set())


def test_weights_cast_to_bf16_are_no_masters(recorded, batch_of, intent) -> None:
    class Cast:
        def run(self, model: Any) -> None:
            trained_under(lambda: cpu(torch.bfloat16), off, batch_of).run(model.bfloat16())

    results = recorded(Cast(), {**intent, "mechanisms": {"clip_norm": 1.0, "autocast": "bfloat16"}})

    assert said(results, "master_weights_in_fp32") == ("failed", {"MasterWeightsLost", "OptimizerStateLost"})
