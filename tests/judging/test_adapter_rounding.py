"""How far rounding may take an adapter's logits and weights: so far, and not twice as far."""

from typing import Any

import pytest

from harness.checks.adapter_rounding import LOGITS
from harness.checks.movement import HALF_ULP
from harness.result import Status


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize("dtype", LOGITS)
def test_logits(evidence: Any, dtype: str, factor: int) -> None:
    evidence.intent.update(weights=dtype)
    evidence.intent["adapter"].update(init="orthogonal")
    for name in ("adapter_at_start", "adapter_merged"):
        probe = evidence.probe(name)
        probe.update(largest_logit={"image": 3.0, "text": 3.0})
        probe["largest_difference"]["text"] = factor * LOGITS[dtype] * HALF_ULP[dtype] * 3.0
    expected = Status.PASSED if factor == 1 else Status.FAILED

    assert evidence.judged("adapter_starts_as_identity").status is expected
    assert evidence.judged("adapter_merges").status is expected


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize(("method", "roundings"), [("lora", 4), ("hra", 64)])
@pytest.mark.parametrize("dtype", LOGITS)
def test_weights(evidence: Any, dtype: str, method: str, roundings: int, factor: int) -> None:
    evidence.intent["adapter"].update(method=method)
    modules = evidence.probe("adapter_merged")["modules"]
    modules.update(dtype=[dtype] * 2, largest=[3.0, 0.5], changed=[1.0, 0.25])
    modules["back"] = [roundings * HALF_ULP[dtype] * 4.0, factor * roundings * HALF_ULP[dtype] * 0.75]
    result = evidence.judged("adapter_merges")

    assert result.status is (Status.PASSED if factor == 1 else Status.FAILED)
    assert [finding.where for finding in result.findings] == ["base_model.model.language.layers.1.q_proj"] * (
        factor - 1
    )
