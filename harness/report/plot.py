"""Lines over optimizer steps as SVG, drawn by hand: pure functions from numbers to text, the same for the same numbers.

A series is told from the others by its dashes and by the shape of its points, so that nothing depends on colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from harness.report.evidence import Values
from harness.report.scale import Scale, listed_numbers, log_scale_of, number, scale_of
from harness.report.text import printable

WIDTH, HEIGHT = 320, 150
_LOW = 56  # of a picture that has nothing but zeros to show
STYLES = 6
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 12, 24
_ZERO_ROW = 16  # below a logarithmic axis: the place of zeros, which it cannot hold
_MOST = 1e290
_SIZE = 2.6  # half a marker


@dataclass(frozen=True)
class Line:
    """A value per step; None where there was none."""

    name: str
    values: Values


def plot(title: str, steps: Sequence[int], lines: Sequence[Line], *, logarithmic: bool = False) -> str:
    """The lines as one picture. Values that are no numbers are crosses at its upper edge, zeros lie below a logarithmic
    axis; nothing where there is no value at all."""
    drawn = [tuple(map(_drawable, line.values)) for line in lines]
    values = [value for held in drawn for value in held if value is not None]
    if not values:
        return ""
    scale = _scale(values, logarithmic)
    frame = _Frame(tuple(steps), scale, logarithmic and 0 in values, HEIGHT if scale.ticks else _LOW)
    said = f"{title}. " + "; ".join(f"{line.name}: {listed_numbers(line.values)}" for line in lines)
    parts = [*_axes(frame), *(part for index, held in enumerate(drawn) for part in _drawn(frame, held, index))]
    label = escape(printable(said), quote=True)
    return f'<svg viewBox="0 0 {WIDTH} {frame.height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _drawable(value: float | None) -> float | None:
    """A value that an axis can be computed for: one at the ends of what a float holds is off the scale, or zero."""
    if value is None or not math.isfinite(value) or abs(value) > _MOST:
        return value if value is None else math.nan
    return value if abs(value) > 1 / _MOST else 0.0


def key(index: int) -> str:
    """The sample of a line for a legend."""
    style = f"s{index % STYLES}"
    line = f'<path class="l {style}" d="M0 6H24"/><path class="m {style}" d="{_marker(12, 6, index)}"/>'
    return f'<svg class="key" viewBox="0 0 24 12" aria-hidden="true">{line}</svg>'


def _scale(values: Sequence[float], logarithmic: bool) -> Scale:
    finite = [value for value in values if math.isfinite(value)]
    return log_scale_of(value for value in finite if value > 0) if logarithmic else scale_of(finite)


@dataclass(frozen=True)
class _Frame:
    steps: tuple[int, ...]
    scale: Scale
    zeros: bool
    height: int

    @property
    def bottom(self) -> float:
        """Of the axis; a row for zeros may be below."""
        return self.height - _BOTTOM - (_ZERO_ROW if self.zeros else 0)

    def x(self, index: int) -> float:
        room = WIDTH - _LEFT - _RIGHT
        return _LEFT + room * (index / (len(self.steps) - 1) if len(self.steps) > 1 else 0.5)

    def y(self, value: float) -> float:
        if not math.isfinite(value):
            return _TOP
        if self.scale.logarithmic and value <= 0:
            return self.height - _BOTTOM - 2.0
        return self.bottom - (self.bottom - _TOP) * self.scale.share(value)


def _axes(frame: _Frame) -> Iterator[str]:
    right = WIDTH - _RIGHT
    rows = "".join(f"M{_LEFT} {_short(frame.y(tick))}H{right}" for tick in frame.scale.ticks)
    yield f'<path class="g" d="{rows}"/>'
    for tick in frame.scale.ticks:
        yield f'<text class="e" x="{_LEFT - 5}" y="{_short(frame.y(tick) + 3.5)}">{number(tick)}</text>'
    if frame.zeros:
        yield f'<text class="e" x="{_LEFT - 5}" y="{_short(frame.y(0) + 3.5)}">0</text>'
    for index in sorted({0, len(frame.steps) - 1}):
        step = frame.steps[index] if frame.steps else 0
        yield f'<text class="c" x="{_short(frame.x(index))}" y="{frame.height - 7}">{step}</text>'
    yield f'<text class="c" x="{(_LEFT + right) // 2}" y="{frame.height - 7}">step</text>'


def _drawn(frame: _Frame, values: Values, index: int) -> Iterator[str]:
    style = f"s{index % STYLES}"
    points = [(frame.x(at), frame.y(value), value) for at, value in enumerate(values) if value is not None]
    if path := _joined(frame, values):
        yield f'<path class="l {style}" d="{path}"/>'
    good = "".join(_marker(x, y, index) for x, y, value in points if math.isfinite(value))
    bad = "".join(_cross(x, y) for x, y, value in points if not math.isfinite(value))
    if good:
        yield f'<path class="m {style}" d="{good}"/>'
    if bad:
        yield f'<path class="x" d="{bad}"/>'


def _joined(frame: _Frame, values: Values) -> str:
    """A line through neighbours that both are numbers."""
    text, drawing = "", False
    for at, value in enumerate(values):
        there = value is not None and math.isfinite(value)
        if there and value is not None:
            text += f"{'L' if drawing else 'M'}{_short(frame.x(at))} {_short(frame.y(value))}"
        drawing = there
    return text if "L" in text else ""


def _marker(x: float, y: float, index: int) -> str:
    """A circle, a square, a triangle, a diamond, a triangle upside down, a bar."""
    left, right, up, down = (_short(value) for value in (x - _SIZE, x + _SIZE, y - _SIZE, y + _SIZE))
    middle, level = _short(x), _short(y)
    shapes = (
        f"M{left} {level}a{_SIZE} {_SIZE} 0 1 0 {2 * _SIZE} 0a{_SIZE} {_SIZE} 0 1 0 {-2 * _SIZE} 0z",
        f"M{left} {up}H{right}V{down}H{left}z",
        f"M{middle} {up}L{right} {down}H{left}z",
        f"M{middle} {up}L{right} {level}L{middle} {down}L{left} {level}z",
        f"M{left} {up}H{right}L{middle} {down}z",
        f"M{left} {_short(y - 1)}H{right}V{_short(y + 1)}H{left}z",
    )
    return shapes[index % STYLES]


def _cross(x: float, y: float) -> str:
    left, right, up, down = (_short(value) for value in (x - 4, x + 4, y - 4, y + 4))
    return f"M{left} {up}L{right} {down}M{left} {down}L{right} {up}"


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
