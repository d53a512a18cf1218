"""The fingerprint of arrays is the one that the recorder makes of tensors."""

import pytest
import torch

from harness.trace.array_fingerprint import fingerprint as of_array
from harness.trace.fingerprint import as_hex, fingerprint


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_it_is_the_same(dtype: str) -> None:
    tensor = torch.randn(7, 5, generator=torch.Generator().manual_seed(0)).to(getattr(torch, dtype)).t()
    array = (tensor.float() if dtype == "bfloat16" else tensor).numpy()

    assert of_array(array, dtype) == as_hex(fingerprint(tensor))


def test_of_nothing() -> None:
    assert of_array(torch.empty(0, 3).numpy(), "float32") == as_hex(fingerprint(torch.empty(0, 3)))
