import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from harness.report import RunReport, to_html
from harness.result import Finding, Reason, Result, Severity, Status


class ParameterMoved(Finding):
    pass


MOVED = ParameterMoved("same", "<script>alert(1)</script>", where="vision.0", cause="two\nlines")
TRIFLE = ParameterMoved("0", "1e-9", severity=Severity.WARNING)
AGAIN = "harness run s.yaml --recipe 'vision' -k frozen"
RUN = RunReport(
    results=(
        Result("m/vision", "frozen", Status.FAILED, findings=(TRIFLE, MOVED)),
        Result("m/vision", "loads", Status.PASSED),
        Result("m/lora", "loads", Status.PASSED),
        Result("m/lora", "buffers", Status.NOT_APPLICABLE, Reason.NO_IMAGES),
    ),
    title="Nightly & <b>bold</b>",
    seconds={"m/lora": 0.3},
    environment={"torch": "2.11.0", "<i>": {"x": "&"}},
    again={("m/vision", "frozen"): AGAIN},
    baseline=(Result("m/vision", "frozen", Status.PASSED), Result("m/gone", "loads", Status.PASSED)),
)
VOID = {"meta", "br"}


class Structure(HTMLParser):
    """The tags of a page, checked to close in the order in which they opened."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.split("</style>")[1]).split())


def test_the_page_is_well_formed_and_the_verdict_comes_first() -> None:
    page = to_html(RUN)

    Structure(page)
    assert words(page).startswith(
        "Nightly &amp; &lt;b&gt;bold&lt;/b&gt; 1 of 3 checks failed in 1 of 2 recipes, "
        "and 1 check of the baseline is missing. 2 passed 1 failed 1 not applicable Recipes m/vision"
    )


def test_what_findings_quote_is_escaped() -> None:
    page = to_html(RUN)

    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<i>" not in page
    assert "<b>bold" not in page


def test_a_quotation_mark_cannot_leave_a_tooltip() -> None:
    hostile = Result('r" onclick="x', 'c" onclick="x', Status.BLOCKED, '" onclick="x')

    assert all("onclick" not in attributes for _, attributes in Structure(to_html(RunReport((hostile,)))).tags)


def test_a_failure_has_its_findings_errors_first_and_its_command() -> None:
    assert (
        "failed frozen "
        "ParameterMoved expected same seen &lt;script&gt;alert(1)&lt;/script&gt; "
        "where vision.0 cause two lines "
        "ParameterMoved (warning) expected 0 seen 1e-9 "
        "again harness run s.yaml --recipe &#39;vision&#39; -k frozen passed loads"
    ) in words(to_html(RUN))


def test_a_check_that_does_not_apply_says_why() -> None:
    assert "not applicable buffers no sample of the recipe holds an image" in words(to_html(RUN))


def test_only_failing_recipes_are_open() -> None:
    assert ["open" in details for details in Structure(to_html(RUN)).of("details")] == [True, False]


def test_the_matrix_has_letters_and_tooltips_and_links_to_failures() -> None:
    structure = Structure(to_html(RUN))
    titles = [cell["title"] for cell in structure.of("td") if "title" in cell]

    assert titles == [
        "buffers: not run",
        "frozen: failed: <script>alert(1)</script>",
        "loads: passed",
        "buffers: not applicable: no sample of the recipe holds an image",
        "frozen: not run",
        "loads: passed",
    ]
    targets = {item.get("id") for item in structure.of("li")}
    assert [link["href"] for link in structure.of("a")] == ["#recipe-2-check-1"]
    assert "recipe-2-check-1" in targets
    assert re.findall(r">([A-Z])(?:</a>)?</td>", to_html(RUN)) == ["F", "P", "N", "P"]


@pytest.mark.parametrize("status", list(Status))
def test_every_status_has_a_style_a_word_and_a_letter(status: Status) -> None:
    page = to_html(RunReport((Result("r", "c", status, "why"),)))

    assert re.search(rf"\.{status.value}[ ,]", page)
    assert f'<td class="{status.value}" title="c: {status.value.replace("_", " ")}: why">' in page


def test_of_two_results_of_one_check_the_matrix_shows_the_more_urgent() -> None:
    results = (
        Result("r", "c", Status.PASSED),
        Result("r", "c", Status.FAILED),
        Result("r", "c", Status.PASSED),
    )

    cells = Structure(to_html(RunReport(results))).of("td")

    assert [cell["class"] for cell in cells] == ["failed"]


def test_many_findings_are_folded_and_very_many_counted() -> None:
    findings = tuple(ParameterMoved("same", f"moved {number}") for number in range(60))
    page = to_html(RunReport((Result("r", "c", Status.FAILED, findings=findings),)))

    assert "moved 4 45 more ParameterMoved" in words(page)
    assert "moved 49 and 10 more of the same kind" in words(page)
    assert "moved 50" not in page


def test_the_page_needs_nothing_from_outside() -> None:
    page = to_html(RUN)
    structure = Structure(page)

    assert not [tag for tag, _ in structure.tags if tag in {"script", "link", "img", "iframe"}]
    assert not [attributes for _, attributes in structure.tags if "src" in attributes]
    assert "url(" not in page
    assert "@import" not in page


def test_the_page_suits_the_dark_and_small_screens() -> None:
    page = to_html(RUN)

    assert "@media (prefers-color-scheme: dark)" in page
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in page


def test_the_baseline_and_the_environment_are_there() -> None:
    assert words(to_html(RUN)).endswith(
        "Compared with the baseline This run is worse than the baseline: 1 check newly failing and 1 check vanished. "
        "recipe before after m/gone 1/1 – m/lora – 1/1 m/vision 1/1 1/2 "
        "Newly failing m/vision: frozen Vanished: judged in the baseline, not in this run m/gone: loads "
        "Environment torch 2.11.0 &lt;i&gt; {&#34;x&#34;: &#34;&amp;&#34;}"
    )


def test_the_same_results_in_any_order_give_the_same_page() -> None:
    assert to_html(RUN) == to_html(replace(RUN, results=RUN.results[::-1]))


def test_no_results_say_so() -> None:
    page = to_html(RunReport(()))

    Structure(page)
    assert words(page) == "Fine-tuning regression report No check was run."


def test_control_characters_do_not_reach_the_page() -> None:
    page = to_html(RunReport((Result("r", "c", Status.FAILED, "\x1b[31mred\x1b[0m\x00 \ud800end"),)))

    assert "red end" in page
    assert "\x00" not in page
    assert page.encode("utf-8")
