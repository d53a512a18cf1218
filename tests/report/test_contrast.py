"""The colours of the page, light and dark: everything that is read has a contrast of at least 4.5, every line of 3."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

import harness.report

STYLE = (Path(harness.report.__file__).parent / "page" / "page.css").read_text(encoding="utf-8")
LIGHT, DARK = (
    dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{3,6});", block))
    for block in re.findall(r":root \{(.*?)\}", STYLE, flags=re.DOTALL)
)
TEXTS = [*product(("--text", "--soft", "--link", "--bad"), ("--page", "--card"))]
TEXTS += [(f"--on-{name}", f"--{name}") for name in ("passed", "failed", "blocked", "fixed", "tolerated", "unjudged")]
LINES = [*product([f"--s{number}" for number in range(6)], ("--card",)), ("--soft", "--page")]


def luminance(colour: str) -> float:
    """As WCAG 2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#fff") == pytest.approx(4.54, abs=0.01)


def test_both_schemes_name_the_same_colours_and_there_are_no_others() -> None:
    assert set(LIGHT) == set(DARK) == {name for pair in (*TEXTS, *LINES) for name in pair} | {"--line"}
    rest = re.sub(r":root \{.*?\}", "", STYLE, flags=re.DOTALL)
    pictures = (Path(harness.report.__file__).parent / "page" / "pictures.css").read_text(encoding="utf-8")
    assert not re.search(r"#[0-9a-f]{3,6}\b|rgba?\(|hsl", rest + pictures)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXTS, ids=lambda name: name.removeprefix("--"))
def test_texts_can_be_read(scheme: dict[str, str], text: str, ground: str) -> None:
    assert contrast(scheme[text], scheme[ground]) >= 4.5


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("line", "ground"), LINES, ids=lambda name: name.removeprefix("--"))
def test_lines_can_be_seen(scheme: dict[str, str], line: str, ground: str) -> None:
    assert contrast(scheme[line], scheme[ground]) >= 3
