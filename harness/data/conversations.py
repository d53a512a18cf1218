"""The shipped conversations about the shipped pictures."""

from __future__ import annotations

from pathlib import Path

from harness.data.sample import Sample, Turn


def _about(name: str, pictures: str, *texts: str) -> Sample:
    """A sample from the names of its pictures and the texts of its turns, the user's first."""
    turns = tuple(Turn("assistant" if number % 2 else "user", text) for number, text in enumerate(texts))
    images = tuple(Path("images", f"{picture}.png") for picture in pictures.split())
    return Sample(name, turns, images, blank=len(images) == 1 and pictures.startswith("blank"))


CONVERSATIONS: tuple[Sample, ...] = (
    _about("shapes-left", "shapes", "<image>\nWhich shape is on the left?", "A red circle."),
    _about("sum", "", "What is seven plus five?", "Twelve."),
    _about(
        "blank-white",
        "blank_white",
        "<image>\nWhat does this picture show?",
        "Nothing: it is white all over.",
    ),
    _about(
        "shapes-and-die",
        "shapes die",
        "First: <image>\nSecond: <image>\nAre there more shapes in the first or spots in the second?",
        "There are more spots: the second picture has five of them, the first has three shapes.",
    ),
    _about(
        "bars-read",
        "bars",
        "<image>\nWhich bar is the highest?",
        "The second one, which is red.",
        "And the lowest?",
        "The fourth one, which is green.",
    ),
    _about("opposite", "", "Name the opposite of early.", "Late."),
    _about(
        "house-scene",
        "house",
        "<image>\nDescribe the scene.",
        "A small cream house with a red roof stands on a green lawn. It has a blue window on the left and a "
        "brown door on the right. To the left of the house grows a tree with a round crown, and the sun "
        "shines in the upper left corner of a clear blue sky.",
    ),
    _about(
        "clock-then-arrow",
        "clock arrow",
        "<image>\nWhat time is it?",
        "Three o'clock.",
        "<image>\nWhich way does this arrow point?",
        "To the left.",
    ),
    _about(
        "house-sun",
        "house",
        "Is the sun to the left or to the right of the roof?\n<image>",
        "To the left.",
    ),
    _about(
        "leaves",
        "",
        "Why do many trees drop their leaves in autumn?",
        "Leaves lose a lot of water, and in winter the roots can hardly draw any from cold or frozen ground. "
        "A tree that drops its leaves saves that water. Before it does so it takes back what it can use, the "
        "green pigment first, which is why the leaves turn yellow and red.",
    ),
    _about("blank-grey", "blank_grey", "<image>\nWhich colours do you see?", "Only grey."),
    _about(
        "clock-hands",
        "clock",
        "<image>\nWhere does the long hand point?",
        "Straight up.",
        "And the short one?",
        "To the right, at the three.",
        "So what time is it?",
        "It is three o'clock.",
    ),
    _about(
        "chart-house-tower",
        "bars house tower",
        "<image>\n<image>\n<image>\nWhich of these pictures is a chart, and what are the others?",
        "The first is a bar chart. The second shows a house with a tree, the third a tower of four blocks.",
    ),
    _about(
        "weekdays",
        "",
        "Which day comes after Monday?",
        "Tuesday.",
        "And which day comes before it?",
        "Sunday.",
    ),
    _about(
        "grid-cell",
        "grid",
        "<image>\nWhich cell of the grid is coloured?",
        "The third cell in the second row from the top; it is orange.",
    ),
    _about("digits-read", "digits", "<image>\nRead the number on the display.", "4075"),
    _about(
        "grid-or-nothing",
        "grid blank_grey",
        "<image>\n<image>\nWhich of the two pictures is empty?",
        "The second.",
    ),
    _about(
        "tower-order",
        "tower",
        "<image>\nList the colours of the blocks from top to bottom.",
        "Yellow, red, green, blue.",
    ),
    _about("even-numbers", "", "List the even numbers from two to ten.", "2, 4, 6, 8 and 10."),
    _about("die-spots", "die", "<image>\nHow many spots does the die show?", "Five."),
)
