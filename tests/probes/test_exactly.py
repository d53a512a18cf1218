"""Where logits are far apart in 16 bits, they are looked at in float32, too, and the model is as before."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from harness.probes import Probed
from harness.probes.exactly import NEAR, twice

UNIT = 2.0**-8  # of rounding, in bf16


def probed(dtype: torch.dtype) -> Probed:
    model = nn.Linear(2, 2).to(dtype)
    model.register_buffer("scale", torch.ones(1, dtype=dtype))
    return Probed(model, {"text": {"ids": torch.tensor([1]), "pixels": [torch.ones(1, dtype=dtype)]}})


def measured(asked: Probed, in_short: float, in_float32: float = 0.0) -> dict[str, Any]:
    """What is measured of a model whose logits are so far apart in 16 bits, and so far in float32."""

    def measure(given: Probed) -> dict[str, Any]:
        batch = given.batches["text"]
        dtypes = {given.model.weight.dtype, given.model.scale.dtype, batch["pixels"][0].dtype}
        assert len(dtypes) == 1
        assert batch["ids"].dtype == torch.int64
        apart = in_float32 if dtypes == {torch.float32} else in_short
        return {"largest_difference": {"text": apart}, "largest_logit": {"text": 2.0}, "pictures": 3}

    return twice(asked, measure)


def test_what_is_far_apart_is_looked_at_in_float32_and_the_model_has_its_own_values_again() -> None:
    asked = probed(torch.bfloat16)
    before = [(one, one.data.data_ptr(), one.data.clone()) for one in (*asked.model.parameters(), asked.model.scale)]
    found = measured(asked, 1.0, 0.5)

    assert found.pop("in_float32") == {"largest_difference": {"text": 0.5}, "largest_logit": {"text": 2.0}}
    assert found == {"largest_difference": {"text": 1.0}, "largest_logit": {"text": 2.0}, "pictures": 3}
    for one, place, value in before:
        assert one.data.data_ptr() == place
        assert torch.equal(one.data, value)


@pytest.mark.parametrize(
    ("apart", "looks"), [(NEAR * UNIT * 2, False), (1.1 * NEAR * UNIT * 2, True), (float("nan"), True)]
)
def test_a_few_units_of_rounding_are_not_looked_at_again(apart: float, looks: bool) -> None:
    assert ("in_float32" in measured(probed(torch.bfloat16), apart)) is looks


def test_float32_is_measured_once() -> None:
    assert "in_float32" not in measured(probed(torch.float32), 0.0, 1.0)


def test_a_pass_that_fails_in_float32_leaves_the_model_as_it_was() -> None:
    asked = probed(torch.float16)

    def measure(given: Probed) -> dict[str, Any]:
        assert given.model.weight.dtype == torch.float16, "no pass in float32 here"
        return {"largest_difference": {"text": 1.0}, "largest_logit": {"text": 1.0}}

    with pytest.raises(AssertionError, match="no pass in float32 here"):
        twice(asked, measure)
    assert asked.model.weight.dtype == torch.float16
