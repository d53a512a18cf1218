"""The shipped pictures, as functions that paint them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.data.canvas import Canvas, Colour, disc, polygon, rectangle, stroke

if TYPE_CHECKING:
    from collections.abc import Callable

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (20, 20, 20)
GREY: Colour = (128, 128, 128)
RED: Colour = (210, 40, 40)
GREEN: Colour = (40, 150, 60)
BLUE: Colour = (40, 80, 200)
YELLOW: Colour = (250, 210, 50)
ORANGE: Colour = (245, 140, 30)
BROWN: Colour = (120, 75, 40)
CREAM: Colour = (250, 235, 200)
SKY: Colour = (150, 205, 250)

SEGMENTS = {"0": "abcdef", "4": "bcfg", "5": "acdfg", "7": "abc"}


def shapes() -> Canvas:
    """A red circle, a blue square and a green triangle, from left to right."""
    canvas = Canvas(96, 64, WHITE)
    canvas.paint(RED, disc((17, 32), 12))
    canvas.paint(BLUE, rectangle(37, 20, 24, 24))
    canvas.paint(GREEN, polygon((80, 19), (93, 44), (67, 44)))
    return canvas


def bars() -> Canvas:
    """A chart of four bars: blue 20, red 45, yellow 30 and green 10 high."""
    canvas = Canvas(96, 64, WHITE)
    for place, (colour, height) in enumerate(((BLUE, 20), (RED, 45), (YELLOW, 30), (GREEN, 10))):
        canvas.paint(colour, rectangle(14 + 20 * place, 58 - height, 14, height))
    canvas.paint(BLACK, rectangle(8, 4, 2, 56), rectangle(8, 58, 84, 2))
    return canvas


def house() -> Canvas:
    """A house with a red roof, a tree to its left, and the sun in the upper left corner."""
    canvas = Canvas(96, 64, SKY)
    canvas.paint(GREEN, rectangle(0, 50, 96, 14))
    canvas.paint(YELLOW, disc((13, 11), 8))
    canvas.paint(CREAM, rectangle(52, 30, 34, 24))
    canvas.paint(RED, polygon((69, 12), (91, 30), (47, 30)))
    canvas.paint(BROWN, rectangle(73, 38, 8, 16), rectangle(26, 36, 5, 18))
    canvas.paint(BLUE, rectangle(57, 36, 10, 9))
    canvas.paint((25, 110, 45), disc((28, 30), 11))
    return canvas


def clock() -> Canvas:
    """A round clock that shows three."""
    canvas = Canvas(80, 80, CREAM)
    canvas.paint(BLACK, disc((40, 40), 36))
    canvas.paint(WHITE, disc((40, 40), 33))
    around = ((0, 29), (15, 25), (25, 15), (29, 0), (25, -15), (15, -25))
    marks = [disc((40 + side * x, 40 + side * y), 2) for x, y in around for side in (1, -1)]
    canvas.paint(GREY, *marks)
    canvas.paint(BLACK, stroke((40, 40), (58, 40), 5), stroke((40, 40), (40, 15), 3))
    return canvas


def grid() -> Canvas:
    """Four rows of four cells, of which the third in the second row is orange."""
    canvas = Canvas(80, 80, WHITE)
    canvas.paint(ORANGE, rectangle(41, 22, 17, 17))
    lines = [rectangle(1 + 19 * step, 1, 2, 78) for step in range(5)]
    lines += [rectangle(1, 1 + 19 * step, 78, 2) for step in range(5)]
    canvas.paint(GREY, *lines)
    return canvas


def digits() -> Canvas:
    """The number 4075 on a seven-segment display."""
    canvas = Canvas(128, 40, BLACK)
    for place, digit in enumerate("4075"):
        left, top = 14 + 28 * place, 5
        bars_of = {
            "a": rectangle(left, top, 16, 3),
            "b": rectangle(left + 13, top, 3, 16),
            "c": rectangle(left + 13, top + 14, 3, 16),
            "d": rectangle(left, top + 27, 16, 3),
            "e": rectangle(left, top + 14, 3, 16),
            "f": rectangle(left, top, 3, 16),
            "g": rectangle(left, top + 14, 16, 3),
        }
        canvas.paint((90, 240, 120), *(bars_of[segment] for segment in SEGMENTS[digit]))
    return canvas


def tower() -> Canvas:
    """Four blocks on each other, narrower from bottom to top: blue, green, red, yellow."""
    canvas = Canvas(64, 96, WHITE)
    for level, colour in enumerate((BLUE, GREEN, RED, YELLOW)):
        width = 48 - 10 * level
        canvas.paint(colour, rectangle(32 - width // 2, 68 - 20 * level, width, 20))
    canvas.paint(BLACK, rectangle(0, 88, 64, 2))
    return canvas


def arrow() -> Canvas:
    """An arrow that points to the left."""
    canvas = Canvas(128, 40, CREAM)
    canvas.paint(BLACK, rectangle(34, 15, 80, 11), polygon((10, 20), (40, 4), (40, 36)))
    return canvas


def die() -> Canvas:
    """The face of a die with five spots."""
    canvas = Canvas(80, 80, GREEN)
    canvas.paint(WHITE, rectangle(10, 10, 60, 60))
    spots = ((24, 24), (56, 24), (40, 40), (24, 56), (56, 56))
    canvas.paint(BLACK, *(disc(spot, 6) for spot in spots))
    return canvas


def blank_white() -> Canvas:
    """Nothing, on white."""
    return Canvas(80, 80, WHITE)


def blank_grey() -> Canvas:
    """Nothing, on grey."""
    return Canvas(64, 96, GREY)


PICTURES: dict[str, Callable[[], Canvas]] = {
    painter.__name__: painter
    for painter in (shapes, bars, house, clock, grid, digits, tower, arrow, die, blank_white, blank_grey)
}
