"""Painting with integer arithmetic only, so that every version of pillow gives the same pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

Colour = tuple[int, int, int]
Point = tuple[int, int]
Shape = Callable[[int, int], bool]


class Canvas:
    """A grid of pixels; later paint covers earlier paint."""

    def __init__(self, width: int, height: int, background: Colour) -> None:
        self.width = width
        self.height = height
        self._rows = [[background] * width for _ in range(height)]

    def paint(self, colour: Colour, *shapes: Shape) -> None:
        """Give every pixel inside any of the shapes the colour."""
        for y, row in enumerate(self._rows):
            for x in range(self.width):
                if any(covers(x, y) for covers in shapes):
                    row[x] = colour

    def image(self) -> Image.Image:
        """The picture as it stands."""
        from PIL import Image

        flat = bytes(channel for row in self._rows for pixel in row for channel in pixel)
        return Image.frombytes("RGB", (self.width, self.height), flat)


def rectangle(left: int, top: int, width: int, height: int) -> Shape:
    """An upright rectangle."""
    return lambda x, y: left <= x < left + width and top <= y < top + height


def disc(centre: Point, radius: int) -> Shape:
    """A filled circle."""
    cx, cy = centre
    return lambda x, y: (x - cx) ** 2 + (y - cy) ** 2 <= radius**2


def polygon(*corners: Point) -> Shape:
    """A convex polygon, its corners given clockwise as seen."""
    sides = list(zip(corners, (*corners[1:], corners[0]), strict=True))
    return lambda x, y: all((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) >= 0 for (x0, y0), (x1, y1) in sides)


def stroke(start: Point, end: Point, width: int) -> Shape:
    """A line with round ends."""
    (x0, y0), (dx, dy) = start, (end[0] - start[0], end[1] - start[1])
    length2 = dx * dx + dy * dy

    def covers(x: int, y: int) -> bool:
        along = min(max((x - x0) * dx + (y - y0) * dy, 0), length2)
        off_x, off_y = (x - x0) * length2 - along * dx, (y - y0) * length2 - along * dy
        return 4 * (off_x**2 + off_y**2) <= (width * length2) ** 2

    return covers
