"""The fingerprint: equal for equal bits, different for another order, additive over shards."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.trace import fingerprint as module
from harness.trace.fingerprint import as_hex, as_hexes, fingerprint, scrambled, weights

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
DTYPES = (*FLOATS, *INTEGERS, torch.bool, torch.complex64)
BITS = 1 << 64

quick = settings(deadline=None, max_examples=25)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))


def tensors(dtype: torch.dtype, min_size: int = 0, max_size: int = 40) -> st.SearchStrategy[torch.Tensor]:
    """Flat tensors of any bits the dtype can hold."""
    if dtype is torch.bool:
        return st.lists(st.booleans(), min_size=min_size, max_size=max_size).map(torch.tensor).map(torch.Tensor.bool)
    width = dtype.itemsize
    sized = st.integers(min_size, max_size).flatmap(lambda n: st.binary(min_size=n * width, max_size=n * width))
    return sized.map(lambda data: torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0).to(dtype))


def splitmix64(index: int) -> int:
    """The published algorithm, in unbounded integers."""
    z = (index + 1) * 0x9E3779B97F4A7C15 % BITS
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % BITS
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % BITS
    return z ^ (z >> 31)


def by_definition(integers: Sequence[int], start: int = 0) -> int:
    return sum(value * (splitmix64(start + index) | 1) for index, value in enumerate(integers)) % BITS


def test_the_weights_are_splitmix64_made_odd() -> None:
    assert splitmix64(0) == 0xE220A8397B1DCDAF  # the generator's published first output for seed 0
    assert [value % BITS for value in scrambled(torch.arange(50)).tolist()] == [splitmix64(i) for i in range(50)]
    assert [value % BITS for value in weights(3, 50).tolist()] == [splitmix64(3 + i) | 1 for i in range(50)]


@quick
@given(st.lists(st.integers(-(2**31), 2**31 - 1)), st.integers(0, 2**40))
def test_it_is_the_sum_of_bits_times_weights(values: list[int], start: int) -> None:
    assert fingerprint(torch.tensor(values, dtype=torch.int32), start) == by_definition(values, start)


@each_dtype
@quick
@given(data=st.data())
def test_equal_bits_give_equal_fingerprints(dtype: torch.dtype, data: st.DataObject) -> None:
    tensor = data.draw(tensors(dtype))

    assert fingerprint(tensor) == fingerprint(tensor.clone())
    assert 0 <= fingerprint(tensor) < BITS


@each_dtype
@quick
@given(data=st.data())
def test_one_other_element_is_noticed(dtype: torch.dtype, data: st.DataObject) -> None:
    tensor = data.draw(tensors(dtype, min_size=1))
    other = tensor.clone()
    place = data.draw(st.integers(0, len(other) - 1))
    other[place] = data.draw(tensors(dtype, min_size=1, max_size=1))[0]
    assume(not torch.equal(module.bits(other), module.bits(tensor)))

    assert fingerprint(other) != fingerprint(tensor)


@pytest.mark.parametrize(
    "dtype",
    [d for d in DTYPES if d.itemsize < 8 or d is torch.complex64],
    ids=lambda dtype: str(dtype).removeprefix("torch."),
)
@quick
@given(data=st.data())
def test_two_unequal_elements_swapped_are_noticed(dtype: torch.dtype, data: st.DataObject) -> None:
    tensor = data.draw(tensors(dtype, min_size=2))
    one, two = data.draw(st.lists(st.integers(0, len(tensor) - 1), min_size=2, max_size=2, unique=True))
    swapped = tensor.clone()
    swapped[one], swapped[two] = tensor[two].clone(), tensor[one].clone()
    assume(not torch.equal(module.bits(swapped), module.bits(tensor)))

    assert fingerprint(swapped) != fingerprint(tensor)


@pytest.mark.parametrize("pair", [(1.0, -1.0), (0.0, -0.0), (0.1, -0.1)], ids=str)
def test_two_float64_swapped_are_noticed(pair: tuple[float, float]) -> None:
    tensor = torch.tensor(pair, dtype=torch.float64)

    assert fingerprint(tensor) != fingerprint(tensor.flip(0))


@each_dtype
@quick
@given(data=st.data())
def test_shards_add_up_at_their_offsets(dtype: torch.dtype, data: st.DataObject) -> None:
    tensor = data.draw(tensors(dtype))
    ends = sorted(data.draw(st.lists(st.integers(0, len(tensor)), max_size=3)))

    edges = [0, *ends, len(tensor)]
    total = sum(fingerprint(tensor[a:b], start=a) for a, b in pairwise(edges))

    assert total % BITS == fingerprint(tensor)


@quick
@given(tensors(torch.float32), st.integers(1, 50))
def test_it_does_not_depend_on_the_chunk(tensor: torch.Tensor, chunk: int) -> None:
    whole = fingerprint(tensor)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)

        assert fingerprint(tensor) == whole


def test_more_than_one_chunk_equals_its_shards() -> None:
    tensor = torch.arange(module.CHUNK + 3, dtype=torch.int32)

    assert fingerprint(tensor) == (fingerprint(tensor[:5]) + fingerprint(tensor[5:], start=5)) % BITS


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_the_sign_of_zero_is_a_bit(dtype: torch.dtype) -> None:
    assert fingerprint(torch.tensor([1, 0.0], dtype=dtype)) != fingerprint(torch.tensor([1, -0.0], dtype=dtype))


def test_nans_of_other_bits_differ() -> None:
    quiet, other = torch.tensor([0x7FC00000, 0x7FC00001], dtype=torch.int32).view(torch.float32)

    assert fingerprint(quiet) != fingerprint(other)
    assert fingerprint(quiet) == fingerprint(quiet.clone())


@each_dtype
def test_a_scalar_counts_as_one_element(dtype: torch.dtype) -> None:
    scalar = torch.ones((), dtype=dtype)

    assert fingerprint(scalar) == fingerprint(scalar.reshape(1)) != 0


@each_dtype
@pytest.mark.parametrize("shape", [(0,), (3, 0)], ids=str)
def test_nothing_has_the_fingerprint_zero(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    assert fingerprint(torch.empty(shape, dtype=dtype)) == 0


@each_dtype
def test_the_layout_in_memory_does_not_matter(dtype: torch.dtype) -> None:
    tensor = torch.arange(24).reshape(4, 6).to(dtype)

    for view in (tensor.T, tensor[:, ::2], tensor[1:3, 2:], tensor[0].expand(3, 6)):
        assert not view.is_contiguous()
        assert fingerprint(view) == fingerprint(view.contiguous())


def test_the_shape_does_not_matter_and_the_order_does() -> None:
    tensor = torch.arange(6.0)

    assert fingerprint(tensor.reshape(2, 3)) == fingerprint(tensor) != fingerprint(tensor.reshape(2, 3).T)


def test_a_parameter_that_requires_a_gradient_is_read_without_touching_the_graph() -> None:
    parameter = torch.nn.Parameter(torch.ones(3))

    assert fingerprint(parameter) == fingerprint(torch.ones(3))
    assert parameter.requires_grad


@pytest.mark.parametrize(
    ("value", "digits"), [(0, "0" * 16), (-1, "f" * 16), (255, "ff".rjust(16, "0")), (BITS, "0" * 16)]
)
def test_hexadecimal_is_always_sixteen_digits(value: int, digits: str) -> None:
    assert as_hex(value) == digits


@given(st.lists(st.integers(-(BITS // 2), BITS // 2 - 1)))
def test_many_are_written_as_each_alone(values: list[int]) -> None:
    assert as_hexes(values) == [as_hex(value) for value in values]
