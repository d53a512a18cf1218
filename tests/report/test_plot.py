"""Pictures drawn from numbers: what each value becomes, and that nothing is left out in silence."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.plot import HEIGHT, WIDTH, Line, key, plot
from harness.report.scale import listed_numbers, log_scale_of, number, scale_of

NAN, INF = math.nan, math.inf


def paths(picture: str, style: str) -> list[str]:
    return re.findall(rf'<path class="{style}" d="([^"]*)"', picture)


def test_a_line_goes_through_its_values_from_left_to_right_and_up_is_more() -> None:
    (path,) = paths(plot("Loss", (0, 1, 2), [Line("loss", (3.0, 2.0, 1.0))]), "l s0")

    places = [tuple(map(float, place)) for place in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert [y for _, y in places] == sorted(y for _, y in places)
    assert len(places) == 3
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)


def test_a_gap_is_not_bridged_and_the_value_alone_still_has_its_point() -> None:
    picture = plot("Loss", (0, 1, 2, 3), [Line("loss", (3.0, None, 2.0, 1.0))])

    (path,), (points,) = paths(picture, "l s0"), paths(picture, "m s0")
    assert path.count("M") == 2
    assert points.count("z") == 3


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_what_is_no_number_is_a_cross_and_no_point(value: float) -> None:
    picture = plot("Loss", (0, 1), [Line("loss", (1.0, value))])

    assert len(paths(picture, "x")) == 1
    assert paths(picture, "m s0")[0].count("z") == 1
    assert number(value) in picture.partition("aria-label")[2].partition(">")[0]


def test_zero_has_a_place_of_its_own_below_a_logarithmic_axis() -> None:
    picture = plot("Drift", (0, 1), [Line("loss", (0.0, 1e-6))], logarithmic=True)

    assert ">0</text>" in picture
    below, above = (float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", paths(picture, "l s0")[0]))
    lowest = max(float(y) for y in re.findall(r"M46 ([\d.]+)H", paths(picture, "g")[0]))
    assert below > lowest >= above


def test_all_zeros_and_all_nan_are_drawn() -> None:
    zeros = plot("Drift", (0,), [Line("loss", (0.0,))], logarithmic=True)
    assert re.findall(r'class="e"[^>]*>([^<]*)<', zeros) == ["0"], "an axis of sizes would be made up"
    assert len(paths(plot("Drift", (0,), [Line("loss", (NAN,))], logarithmic=True), "x")) == 1
    assert len(paths(plot("Loss", (0,), [Line("loss", (NAN,))]), "x")) == 1


def test_nothing_is_drawn_of_nothing() -> None:
    assert plot("Loss", (), []) == ""
    assert plot("Loss", (0, 1), [Line("loss", (None, None))]) == ""


def test_the_values_are_said_in_words_and_escaped() -> None:
    picture = plot('"Loss"', (0, 1), [Line("<b>\x1b[1m", (1.25, None))])

    assert 'aria-label="&quot;Loss&quot;. &lt;b&gt;: 1.25, none"' in picture
    assert "<b>" not in picture


def test_every_style_has_a_shape_of_its_own() -> None:
    shapes = {re.sub(r"s\d", "", key(index)) for index in range(6)}

    assert len(shapes) == 6


def test_the_same_numbers_give_the_same_picture() -> None:
    lines = [Line("a", (1.0, 0.1)), Line("b", (0.30000000000000004, 2.0))]

    assert plot("Norm", (0, 1), lines) == plot("Norm", (0, 1), lines)


@pytest.mark.parametrize(
    "values", [(0.0,), (1.0, 1.0), (-3.0, 5.0), (1e-9, 2e-9), (7.2, 6.1), (1e12, 3e12), (-1.0,), (1 - 1e-9, 1.0)]
)
def test_an_axis_holds_its_values_between_round_ticks(values: tuple[float, ...]) -> None:
    scale = scale_of(values)

    assert all(-1e-9 <= scale.share(value) <= 1 + 1e-9 for value in values)
    assert 2 <= len(scale.ticks) <= 7
    assert len({number(tick) for tick in scale.ticks}) == len(scale.ticks), "each reads otherwise"


@pytest.mark.parametrize("values", [(1e-7,), (1e-9, 1.0), (3e-5, 4e-5)])
def test_a_logarithmic_axis_holds_its_values(values: tuple[float, ...]) -> None:
    scale = log_scale_of(values)

    assert all(-1e-9 <= scale.share(value) <= 1 + 1e-9 for value in values)
    assert 2 <= len(scale.ticks) <= 7


def test_numbers_are_short() -> None:
    assert [number(value) for value in (0.0, 0.31160931, 6.5440282, 1.2e-7)] == ["0", "0.312", "6.54", "1.2e-07"]
    assert listed_numbers(tuple(float(n) for n in range(14))).endswith("10, 11 and 2 more")


@given(
    st.lists(st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 1e308, -1e308, 5e-324, 1e16, 1e16 + 2]))),
    st.booleans(),
)
def test_whatever_a_run_has_recorded_can_be_drawn(values: list[float | None], logarithmic: bool) -> None:
    picture = plot("Loss", range(len(values)), [Line("loss", tuple(values))], logarithmic=logarithmic)

    drawn = "".join(re.findall(r' d="([^"]*)"', picture))
    assert "nan" not in drawn
    assert "inf" not in drawn
    crosses = sum(path.count("M") for path in paths(picture, "x")) // 2
    points = sum(path.count("z") for path in paths(picture, "m s0"))
    assert crosses + points == sum(value is not None for value in values), "none is left out in silence"
    assert all(-1 <= float(y) <= HEIGHT for y in re.findall(r"[ML][\d.-]+ ([\d.-]+)", drawn))
