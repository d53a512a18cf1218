"""Values of parameters on an accelerator: what is told of them is what is told of those on a CPU, here on a CPU."""

from __future__ import annotations

import pytest
import torch

from harness.recording import device_values
from harness.recording.device_values import DeviceValues
from harness.recording.values import Values


def parameters() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [((40, 60), torch.float32), ((0, 3), torch.float32), ((33,), torch.bfloat16), ((5, 5), torch.float64)]
    made = [torch.randn(shape, generator=generator).to(dtype) for shape, dtype in shapes]
    trains = [torch.nn.Parameter(one) for one in made]
    return [*trains, torch.nn.Parameter(made[0] + 1, requires_grad=False), torch.arange(7)]


def both() -> tuple[list[torch.Tensor], Values, DeviceValues]:
    given = parameters()
    return given, Values(given), DeviceValues(given)


def agree(one: Values, other: DeviceValues) -> None:
    first, second = one.columns, other.columns
    assert first["fingerprint"] == second["fingerprint"]
    assert first["changed"] == second["changed"]
    for name in ("rms", "peak"):
        assert first[name] == pytest.approx(second[name], rel=1e-6)


def test_before_anything_has_changed() -> None:
    _, values, on_device = both()

    agree(values, on_device)
    assert not on_device.sampled


def test_after_some_elements_have_changed_and_again_after_none_has() -> None:
    given, values, on_device = both()
    with torch.no_grad():
        given[0][3:5] += 1
        given[2][1] = -0.0
        given[3] *= 2
    for _ in range(2):
        values.observe()
        on_device.observe()

        agree(values, on_device)
        assert values.nearly_all_changed() == on_device.nearly_all_changed()


def test_one_element_of_a_frozen_parameter_is_seen_wherever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_values, "SAMPLED", 10)
    given = parameters()
    on_device = DeviceValues(given)
    given[4].data.view(-1)[777] += 1

    assert on_device.observe()["changed"] == [0, 0, 0, 0, 1, 0]
    assert on_device.sampled


def test_of_parameters_that_are_too_many_the_share_that_has_changed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_values, "SAMPLED", 100)
    given = parameters()
    on_device = DeviceValues(given, kept=100)
    with torch.no_grad():
        given[0][:20] += 1  # half of it

    assert on_device.observe()["changed"][0] == pytest.approx(1200, rel=0.05)
    with torch.no_grad():
        given[0] += 1
    assert on_device.observe()["changed"][0] == 2400


def test_what_was_recorded_does_not_change_with_what_comes_after() -> None:
    given, _, on_device = both()
    first = on_device.observe()
    kept = {name: list(column) for name, column in first.items()}
    with torch.no_grad():
        given[0] += 1
    on_device.observe()

    assert first == kept
