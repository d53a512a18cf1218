"""Numbers of many parameters at once agree with those of each alone."""

import math
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.recording import stretches, tables
from harness.recording.digests import Digest
from harness.recording.segments import nonzero, norms
from harness.recording.undisturbed import ChanceDigest
from harness.recording.values import Values, gradient_nonzeros, gradient_norms
from harness.trace.fingerprint import as_hex, fingerprint

FLOATS = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
DTYPES = [*FLOATS, torch.int64, torch.uint8, torch.bool]
Model = list[tuple[tuple[int, ...], torch.dtype, int, bool]]

quick = settings(deadline=None, max_examples=60)

shapes = st.lists(st.integers(0, 5), max_size=3).map(tuple)
seeds = st.integers(0, 2**32 - 1)


both_ways = pytest.mark.parametrize("numpy", [True, False], ids=["numpy", "torch alone"], indirect=True)


@pytest.fixture(scope="module", autouse=True)
def numpy(request: pytest.FixtureRequest) -> Iterator[None]:
    """With numpy, and as where torch has come without it."""
    with pytest.MonkeyPatch.context() as patch:
        if not getattr(request, "param", True):
            patch.setattr(stretches, "sys", SimpleNamespace(modules={}))
        yield


def filled(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=generator) * 3).to(dtype)


models = st.lists(st.tuples(shapes, st.sampled_from(DTYPES), seeds, st.booleans()), min_size=1, max_size=8)


def built(model: Model) -> list[torch.Tensor]:
    return [
        torch.nn.Parameter(filled(shape, dtype, seed), requires_grad=trains and dtype.is_floating_point)
        for shape, dtype, seed, trains in model
    ]


def bits_changed(before: torch.Tensor, after: torch.Tensor) -> int:
    """Elements whose bytes differ, one by one."""
    width = before.element_size()
    if not before.numel():
        return 0
    pairs = [t.detach().reshape(-1).view(torch.uint8).reshape(-1, width) for t in (before, after)]
    return int((pairs[0] != pairs[1]).any(1).sum())


@both_ways
@quick
@given(models)
def test_fingerprints_are_those_of_each_tensor(model: Model) -> None:
    parameters = built(model)

    assert Values(parameters).columns["fingerprint"] == [as_hex(fingerprint(p)) for p in parameters]


@both_ways
@quick
@given(models)
def test_sizes_are_those_of_each_tensor(model: Model) -> None:
    parameters = built(model)
    columns = Values(parameters).columns

    for p, rms, peak in zip(parameters, columns["rms"], columns["peak"], strict=True):
        if not p.is_floating_point() or not p.numel():
            assert (rms, peak) == (0.0, 0.0)
            continue
        exact = p.detach().double()
        assert rms == pytest.approx(float(exact.norm()) / math.sqrt(p.numel()), rel=1e-6)
        assert peak == pytest.approx(float(exact.abs().max()), rel=1e-6)


@both_ways
@quick
@given(models, st.data())
def test_changes_are_those_of_each_tensor(model: Model, data: st.DataObject) -> None:
    parameters = built(model)
    values = Values(parameters)
    for _ in range(3):
        before = [p.detach().clone() for p in parameters]
        for p in parameters:
            if data.draw(st.booleans()) and p.numel():
                place = data.draw(st.integers(0, p.numel() - 1))
                p.data.view(-1)[place] = filled((), p.dtype, data.draw(seeds))
        columns = values.observe()

        assert columns["changed"] == [bits_changed(b, p) for b, p in zip(before, parameters, strict=True)]
        assert columns["fingerprint"] == [as_hex(fingerprint(p)) for p in parameters]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_the_smallest_change_is_seen_where_it_happened(dtype: torch.dtype) -> None:
    parameters = [torch.nn.Parameter(torch.zeros(3, dtype=dtype)) for _ in range(3)]
    values = Values(parameters)
    parameters[1].data[2] = -0.0

    assert values.observe()["changed"] == [0, 1, 0]
    assert values.observe()["changed"] == [0, 0, 0]


def test_frozen_and_trained_of_one_dtype_are_told_apart() -> None:
    frozen = torch.nn.Parameter(torch.ones(4), requires_grad=False)
    trained = torch.nn.Parameter(torch.ones(2))
    values = Values([frozen, trained])
    trained.data.add_(1)

    columns = values.observe()

    assert columns["changed"] == [0, 2]
    assert columns["rms"] == pytest.approx([1.0, 2.0])


@both_ways
def test_a_table_larger_than_the_cache_is_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "CACHED", 6)
    parameters = [torch.nn.Parameter(filled((size,), torch.float32, size)) for size in (3, 7, 2, 3, 3, 3, 3)]
    values = Values(parameters)
    for p in parameters[::2]:
        p.data[1] += 1

    columns = values.observe()

    assert columns["changed"] == [1, 0, 1, 0, 1, 0, 1]
    assert columns["fingerprint"] == [as_hex(fingerprint(p)) for p in parameters]
    assert columns["peak"] == [float(p.detach().abs().max()) for p in parameters]


@both_ways
def test_parameters_are_followed_that_move_later_than_others() -> None:
    first, later = torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(3))
    values = Values([later, first])
    seen = []
    for moved in (first, later, first):
        moved.data.add_(1)
        seen.append((list(values.observe()["changed"]), list(values.columns["peak"])))

    assert seen == [([0, 3], [0.0, 1.0]), ([3, 0], [1.0, 1.0]), ([0, 3], [1.0, 2.0])]


def test_values_that_are_no_numbers_are_kept() -> None:
    columns = Values([torch.tensor([math.nan, 1.0]), torch.tensor([-math.inf, 1.0]), torch.tensor([-2.0])]).columns

    assert [str(value) for value in columns["peak"]] == ["nan", "inf", "2.0"]
    assert [str(value) for value in columns["rms"]] == ["nan", "inf", "2.0"]


@quick
@given(st.lists(st.tuples(shapes, seeds), min_size=1, max_size=6), st.sampled_from(FLOATS))
def test_norms_are_those_of_torch(model: list[tuple[tuple[int, ...], int]], dtype: torch.dtype) -> None:
    tensors = [filled(shape, dtype, seed) for shape, seed in model]

    expected = [float(torch.linalg.vector_norm(t.double())) for t in tensors]
    assert norms(tensors) == pytest.approx(expected, rel=1e-6)


@both_ways
def test_a_norm_may_be_larger_than_its_dtype_can_hold() -> None:
    large = torch.nn.Parameter(torch.full((4,), 60000.0, dtype=torch.float16))

    assert norms([large]) == [120000.0]
    assert Values([large]).columns["rms"] == [60000.0]


@quick
@given(st.lists(st.tuples(shapes, st.sampled_from(DTYPES), seeds), min_size=1, max_size=6))
def test_nonzeros_are_those_of_torch(model: list[tuple[tuple[int, ...], torch.dtype, int]]) -> None:
    tensors = [filled(*one) for one in model]

    assert nonzero(tensors) == [int((t != 0).sum()) for t in tensors]


def test_the_smallest_numbers_are_not_zero() -> None:
    tensors = [torch.tensor([torch.finfo(dtype).smallest_normal, 0, -0.0], dtype=dtype) for dtype in FLOATS]

    assert nonzero(tensors) == [1] * len(FLOATS)


@both_ways
def test_values_are_followed_when_a_parameter_gets_other_memory() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2, 2))
    values = Values([parameter])
    seen = []
    for data in (torch.ones(2, 2), torch.arange(4.0).view(2, 2), torch.arange(4.0).view(2, 2).T, torch.zeros(2, 2)):
        parameter.data = data
        seen.append((list(values.observe()["changed"]), values.columns["fingerprint"] == [as_hex(fingerprint(data))]))

    assert seen == [([4], True), ([3], True), ([2], True), ([3], True)]


def test_values_are_followed_when_a_parameter_gets_another_layout_in_place() -> None:
    parameter = torch.nn.Parameter(torch.arange(4.0).view(2, 2))
    values, digest = Values([parameter]), Digest()
    digest([parameter])
    parameter.data = parameter.data.T

    assert values.observe()["changed"] == [2]
    assert values.columns["fingerprint"] == [as_hex(fingerprint(parameter))]
    assert digest([parameter]) == Digest()([parameter.detach().clone(memory_format=torch.contiguous_format)])


def test_of_no_tensors_there_are_no_numbers() -> None:
    assert (norms([]), nonzero([]), Values([]).observe()["changed"]) == ([], [], [])


def test_gradients_keep_their_places() -> None:
    with_one, without, zero = (torch.nn.Parameter(torch.ones(2)) for _ in range(3))
    with_one.grad, zero.grad = torch.tensor([3.0, 4.0]), torch.zeros(2)

    assert gradient_norms([without, with_one, zero]) == [None, 5.0, 0.0]
    assert gradient_nonzeros([without, with_one, zero], skip=[False] * 3) == [None, 2, 0]
    assert gradient_nonzeros([with_one, zero, without], skip=[True, False, True]) == [None, 0, None]


def test_which_parameters_changed_in_nearly_every_element() -> None:
    some, nearly, every = (torch.nn.Parameter(torch.zeros(200)) for _ in range(3))
    values = Values([some, nearly, every])
    some.data[:197], nearly.data[:198], every.data[:] = 1, 1, 1
    values.observe()

    assert values.nearly_all_changed() == [False, True, True]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_digest_notices_one_element_and_the_order(dtype: torch.dtype) -> None:
    one, two = torch.arange(9).to(dtype), torch.ones(3, dtype=dtype)
    other = one.clone()
    other[4] = not other[4] if dtype is torch.bool else 7

    found = [Digest()([one, two]), Digest()([other, two]), Digest()([two, one]), Digest()([one, two.clone()])]

    assert found[0] == found[3]
    assert len(set(found)) == 3


@pytest.mark.parametrize("other", [1, 256, 257, 511], ids=["one line", "one column", "neither", "after the last line"])
def test_a_digest_notices_words_that_change_places(other: int) -> None:
    words = torch.arange(600, dtype=torch.int64)
    moved = words.clone()
    moved[[0, other]] = words[[other, 0]]

    assert Digest()([moved]) != Digest()([words])


def test_a_digest_of_the_beginnings_alone() -> None:
    one, two = torch.zeros(5), torch.zeros(5)
    before = Digest(first=2)([one, two])
    two[2] = 1
    assert Digest(first=2)([one, two]) == before != Digest()([one, two])
    two[1] = 1
    assert Digest(first=2)([one, two]) != before


def test_a_digest_is_over_all_dtypes() -> None:
    floats, integers = torch.ones(2), torch.ones(2, dtype=torch.int64)

    assert len({Digest()(given) for given in ([floats, integers], [floats], [integers], [])}) == 4


@pytest.mark.parametrize("transposed", [False, True], ids=["in place", "transposed"])
def test_a_digest_follows_its_tensors(transposed: bool) -> None:
    digest, state = Digest(), torch.arange(6.0).view(2, 3)
    state = state.T if transposed else state
    before = digest([state])
    state[1, 0] = 9

    assert digest([state]) != before
    assert digest([state]) == Digest()([state.clone()])


def test_a_digest_follows_a_state_that_was_replaced() -> None:
    digest = Digest()
    digest([torch.zeros(3)])

    assert digest([torch.ones(3)]) == Digest()([torch.ones(3)])


def test_random_states_are_told_apart_by_the_numbers_drawn() -> None:
    digest = ChanceDigest()
    before = digest()
    assert digest() == before == ChanceDigest()()
    torch.rand(1)
    assert before != digest() == ChanceDigest()()


@pytest.mark.parametrize("size", [4, 2 * tables.SHORT], ids=["short", "long"])
def test_elements_that_changed_are_counted_row_by_row(size: int) -> None:
    parameters = [torch.nn.Parameter(torch.zeros(size, dtype=dtype)) for dtype in (torch.float32, torch.float64) * 2]
    values = Values(parameters)
    for parameter, count in zip(parameters, (1, 2, 0, size), strict=True):
        parameter.data[:count] = 1

    assert values.observe()["changed"] == [1, 2, 0, size]
