"""Which layers autocast computes in 16 bits: what does not multiply matrices says nothing about it."""

import pytest

from harness.checks.precision_seen import multiplies


@pytest.mark.parametrize("kind", ["Linear", "LoraLinear", "MiniMindLinear", "Conv2d", "MultiheadAttention"])
def test_products_are_computed_in_16_bits(kind: str) -> None:
    assert multiplies(kind)


@pytest.mark.parametrize("kind", ["DoraLinearLayer", "DoraConv2dLayer", "Embedding", "LayerNorm"])
def test_scaling_and_looking_up_are_not(kind: str) -> None:
    assert not multiplies(kind)
