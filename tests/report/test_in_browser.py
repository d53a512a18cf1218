"""The page in a real browser: it opens without a network, is filtered by keyboard, and can be read by everybody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.browser import chromium, why_not
from benchmarks.large_report import large_run
from harness.report import to_html

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is a browser")

RECIPES, CHECKS = 60, 30
SHOWN = "() => [...document.querySelectorAll('.matrix tbody tr')].filter((row) => !row.hidden).length"
COLUMNS = "() => [...document.querySelectorAll('.matrix thead th')].filter((head) => !head.hidden).length - 1"
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(to_html(large_run(RECIPES, CHECKS)), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page, opened; whatever the browser complains of, or asks of a network, fails the test."""
    opened = browser.new_page(reduced_motion="reduce")
    wrong: list[str] = []
    opened.on("console", lambda message: wrong.append(message.text))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda request: None if request.url.startswith("file:") else wrong.append(request.url))
    opened.goto(address)
    yield opened
    opened.close()
    assert wrong == []


def settled(page: Page) -> None:
    """Typing is followed after 60 ms by the page's own clock, which a slow machine cannot outrun."""
    page.evaluate("() => new Promise((done) => setTimeout(() => requestAnimationFrame(done), 100))")


def tab_to(page: Page, name: str) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.name") == name:
            return
    raise AssertionError(f"{name} cannot be reached by Tab")


def test_it_opens_without_a_network_and_without_complaint(page: Page) -> None:
    assert page.evaluate("() => performance.getEntriesByType('resource').length") == 0
    assert page.locator("#filters").is_visible(), "its script has run"
    assert page.evaluate(SHOWN) == RECIPES


def test_what_a_finding_quotes_is_never_run(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    run = large_run(2, 9)
    path.write_text(to_html(run).replace("3 parameters", "<script>document.title = 'run'</script>3"), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())

    assert page.title() == run.title
    page.close()


def test_the_filters_work_by_keyboard_and_are_kept_in_the_address(page: Page) -> None:
    tab_to(page, "recipe")
    page.keyboard.type("RECIPE-01 bf16")
    settled(page)
    assert page.evaluate(SHOWN) == 5
    assert page.url.endswith("#?recipe=recipe-01+bf16")

    tab_to(page, "check")
    page.keyboard.type("number_1")
    settled(page)
    assert page.evaluate(COLUMNS) == 10
    assert "5 of 60 recipes, 10 of" in page.locator("#filters output").inner_text()
    assert page.locator("#recipes > details:visible").count() == 5

    page.reload()
    assert (page.evaluate(SHOWN), page.evaluate(COLUMNS)) == (5, 10)
    assert page.locator("input[name=recipe]").input_value() == "recipe-01 bf16"

    page.get_by_role("button", name="Show all").press("Enter")
    settled(page)
    assert page.evaluate(SHOWN) == RECIPES
    assert "#" not in page.url


def test_only_what_fails_is_shown_when_asked(page: Page) -> None:
    failing = [number for number in range(RECIPES) if number % 40 == 7]
    tab_to(page, "failing")
    page.keyboard.press("Space")
    settled(page)

    assert page.evaluate(SHOWN) == len(failing)
    assert page.evaluate(COLUMNS) == 1
    assert page.locator("#failures article:visible").count() == len(failing)
    assert page.url.endswith("#?failing=1")


def test_a_status_and_a_suite_are_chosen_from_the_address(page: Page, address: str) -> None:
    page.goto(f"{address}#?status=w&suite=suite-3")
    settled(page)

    warned = [number for number in range(RECIPES) if number % 15 == 3 and number % 12 == 3]
    assert page.evaluate(SHOWN) == len(warned) > 0
    assert page.evaluate(COLUMNS) == 1
    assert page.locator("select[name=status]").input_value() == "w"


def test_a_failing_cell_leads_to_its_failure_even_where_a_filter_hides_that(page: Page) -> None:
    page.locator(".matrix td.f a").first.click()
    assert page.locator("article:target").is_visible()
    assert page.locator("article:target h3").inner_text().endswith("suite-11/recipe-047[bf16]")

    page.locator("input[name=recipe]").fill("recipe-001")
    settled(page)
    assert page.locator("#failures article:visible").count() == 0
    page.evaluate("() => { location.hash = document.querySelector('#failures article').id; }")
    settled(page)
    assert page.locator("article:target").is_visible()
    assert page.evaluate(SHOWN) == RECIPES


def test_a_recipe_in_the_matrix_leads_to_its_own_folded_section(page: Page) -> None:
    page.locator(".matrix tbody th a").nth(20).click()
    section = page.locator("details:target")

    assert section.get_attribute("open") is not None
    assert section.locator("svg[role=img]").count() == 2
    assert section.locator("figure svg").first.bounding_box()["width"] > 200  # type: ignore[index]


def test_a_cell_says_what_it_stands_for(page: Page) -> None:
    cell = page.locator(".matrix tbody tr").first.locator("td.n").first
    cell.hover()
    recipe, said = str(cell.get_attribute("title")).split("\n")

    assert recipe == page.locator(".matrix tbody th").first.inner_text()
    assert re.fullmatch(r"check_number_\d\d_of_all: not applicable: \w.+", said)


def test_heads_and_names_of_the_matrix_stay_in_sight(page: Page) -> None:
    page.evaluate("() => document.querySelector('#matrix').scrollIntoView()")
    page.evaluate("() => document.querySelector('.matrix').scrollTo(300, 700)")
    settled(page)
    frame = page.locator(".matrix").bounding_box()
    head = page.locator(".matrix thead th").nth(0).bounding_box()
    name = page.locator(".matrix tbody tr").nth(30).locator("th").bounding_box()

    assert frame
    assert head
    assert name
    assert frame["y"] <= head["y"] <= frame["y"] + 250
    assert abs(name["x"] - frame["x"]) < 3
    for at in (5, head["height"] / 2, head["height"] - 5):
        corner = "([x, y]) => document.elementFromPoint(x, y).closest('th').textContent"
        assert page.evaluate(corner, [head["x"] + 40, head["y"] + at]) == "recipe", "no other head shines through"
    assert frame["y"] < name["y"] < frame["y"] + frame["height"]


def test_a_command_is_copied(browser: Browser, address: str) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(address)
    button = page.get_by_role("button", name="copy the command").first
    command = page.locator("#failures .again code").first.inner_text()
    button.focus()
    page.keyboard.press("Enter")

    page.get_by_text("copied", exact=True).wait_for()
    assert page.evaluate("() => navigator.clipboard.readText()") == command
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_window(browser: Browser, address: str, scheme: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(address)
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")

    assert page.evaluate(WIDER) <= 0
    page.close()


def test_light_and_dark_are_as_the_system_says(browser: Browser, address: str) -> None:
    brightness = {}
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(address)
        colour = page.evaluate("() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
        brightness[scheme] = sum(colour)
        page.close()

    assert brightness["dark"] < 150
    assert brightness["light"] > 600


def test_without_scripts_failures_are_there_and_recipes_open(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)

    assert not page.locator("#filters").is_visible(), "nothing that does not work"
    assert page.locator("#failures article:visible").count() == 2
    page.locator("#recipes summary").first.click()
    assert page.locator("#recipes figure").first.is_visible()
    context.close()


def test_on_paper_there_are_failures_and_nothing_to_press(page: Page) -> None:
    page.emulate_media(media="print")

    assert page.locator("#failures article:visible").count() == 2
    assert page.locator("#filters, nav, button:visible, #matrix").locator("visible=true").count() == 0


@pytest.mark.parametrize(("motion", "behaviour"), [("reduce", "auto"), ("no-preference", "smooth")])
def test_it_moves_only_where_that_is_wanted(browser: Browser, address: str, motion: str, behaviour: str) -> None:
    page = browser.new_page(reduced_motion=motion)  # type: ignore[arg-type]
    page.goto(address)

    assert page.evaluate("() => getComputedStyle(document.documentElement).scrollBehavior") == behaviour
    page.close()


WRONG = {
    "the page has a language and one main part": """() => [
        ...(document.documentElement.lang === "en" ? [] : ["lang"]),
        ...(document.querySelectorAll("main").length === 1 ? [] : ["main"]),
        ...(document.querySelectorAll("h1").length === 1 ? [] : ["h1"])]""",
    "headings do not leave out a level": """() => {
        let last = 0;
        return [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter((one) => {
            const level = Number(one.tagName[1]), skips = level > last + 1;
            last = level;
            return skips;
        }).map((one) => one.textContent);
    }""",
    "every field has a label": """() => [...document.querySelectorAll("input, select, textarea")]
        .filter((one) => !one.labels.length || !one.labels[0].textContent.trim()).map((one) => one.name)""",
    "every link and button has a name": """() => [...document.querySelectorAll("a, button, summary")]
        .filter((one) => !(one.getAttribute("aria-label") || one.textContent).trim()).map((one) => one.outerHTML)""",
    "every link leads somewhere": """() => [...document.querySelectorAll("a")]
        .map((one) => decodeURIComponent(one.getAttribute("href").slice(1)))
        .filter((id) => !document.getElementById(id))""",
    "every head of a table says of what": """() => [...document.querySelectorAll("th")]
        .filter((one) => !["row", "col"].includes(one.scope)).map((one) => one.outerHTML)""",
    "every table has heads": """() => [...document.querySelectorAll("table")]
        .filter((one) => !one.querySelector("th")).map((one) => one.outerHTML)""",
    "every picture says its values or is an ornament": """() => [...document.querySelectorAll("svg")]
        .filter((one) => !(one.getAttribute("role") === "img" && one.getAttribute("aria-label").includes(":"))
            && one.getAttribute("aria-hidden") !== "true").map((one) => one.outerHTML)""",
    "every place has a name of its own": """() => {
        const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
        return ids.filter((id, at) => ids.indexOf(id) !== at);
    }""",
    "every label that is referred to is there": """() => [...document.querySelectorAll("[aria-labelledby]")]
        .filter((one) => !document.getElementById(one.getAttribute("aria-labelledby"))).map((one) => one.outerHTML)""",
    "what scrolls can be reached and has a name": """() => [...document.querySelectorAll(".scroll")]
        .filter((one) => one.tabIndex !== 0 || !one.getAttribute("aria-label")).map((one) => one.outerHTML)""",
    "nothing jumps the order of tabs": """() => [...document.querySelectorAll("[tabindex]")]
        .filter((one) => one.tabIndex > 0).map((one) => one.outerHTML)""",
    "no status is told by colour alone": """() => [...document.querySelectorAll(".mark, .matrix td[class]")]
        .filter((one) => !one.textContent.trim()).map((one) => one.outerHTML)""",
}


@pytest.mark.parametrize("rule", WRONG)
def test_everybody_can_read_it(page: Page, rule: str) -> None:
    assert page.evaluate(WRONG[rule]) == []


def test_where_the_keyboard_is_can_be_seen(page: Page) -> None:
    for _ in range(12):
        page.keyboard.press("Tab")
        width = page.evaluate("() => parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
        assert width >= 2


def test_the_first_tab_skips_to_the_results(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "Skip to the results"
    assert page.locator("a.skip").first.is_visible()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.name") == "recipe"
