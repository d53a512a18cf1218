import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from harness.report import RunReport, to_html
from harness.report.html import MOST_NAMES
from harness.report.html_checks import CODES, MOST_IN_FULL
from harness.report.statuses import SYMBOLS
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
VOID = {"meta", "br", "input"}


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
    body = re.sub(r"<script>.*</script>", "", page.split("</style>")[1], flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_the_page_is_well_formed_and_the_verdict_comes_first() -> None:
    page = to_html(RUN)

    Structure(page)
    assert words(page).startswith(
        "Skip to the results Nightly &amp; &lt;b&gt;bold&lt;/b&gt; 1 of 3 checks failed in 1 of 2 recipes, "
        "and 1 check of the baseline is missing. 2 passed 1 failed 1 not applicable Failures (1) Matrix Recipes"
    )


def test_what_findings_quote_is_escaped() -> None:
    page = to_html(RUN)

    assert page.count("<script") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<i>" not in page
    assert "<b>bold" not in page


def test_a_quotation_mark_cannot_leave_a_tooltip() -> None:
    hostile = Result('r" onclick="x', 'c" onclick="x', Status.BLOCKED, '" onclick="x')

    assert all("onclick" not in attributes for _, attributes in Structure(to_html(RunReport((hostile,)))).tags)


def test_a_failure_has_its_findings_errors_first_and_its_command() -> None:
    assert (
        "✗ failed frozen of m/vision "
        "ParameterMoved expected same seen &lt;script&gt;alert(1)&lt;/script&gt; "
        "where vision.0 cause two lines "
        "ParameterMoved (warning) expected 0 seen 1e-9 "
        "again harness run s.yaml --recipe &#39;vision&#39; -k frozen"
    ) in words(to_html(RUN))


def test_a_check_that_does_not_apply_says_why() -> None:
    assert "– not applicable no sample of the recipe holds an image: buffers" in words(to_html(RUN))


def test_recipes_are_folded_and_a_failure_comes_before_them() -> None:
    page = to_html(RUN)

    assert not any("open" in details for details in Structure(page).of("details"))
    assert page.index('id="failures"') < page.index('id="matrix"') < page.index('id="recipes"')


def test_the_matrix_has_symbols_and_reasons_and_links_to_failures() -> None:
    page = to_html(RUN)
    structure = Structure(page)
    matrix = page.partition('id="matrix"')[2].partition("</table>")[0]

    assert re.findall(r"<td[^>]*>(?:<a[^>]*>)?([^<]?)(?:</a>)?</td>", matrix) == ["", "✗", "✓", "–", "", "✓"]
    assert "<td class=n data-w=1>" in matrix
    assert re.findall(r"<li>(.*?)</li>", page.partition('id="reasons"')[2])[:2] == ["", Reason.NO_IMAGES.value]
    targets = {attributes.get("id") for _, attributes in structure.tags}
    links = [str(link["href"]) for link in structure.of("a")]
    assert "#failure--m-vision--frozen" in links
    assert {link.removeprefix("#") for link in links} <= targets


def test_without_scripts_every_check_of_every_recipe_is_named() -> None:
    said = words(to_html(RUN)).partition("Skip the matrix")[2]

    assert "m/vision 1 passed 1 failed ✗ failed frozen ✓ passed loads" in said
    assert "m/lora 1 passed 1 not applicable 0.3 s ✓ passed loads" in said


def test_the_only_script_is_the_one_whose_digest_the_page_names() -> None:
    page = to_html(RUN)
    script = page.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page
    assert "fetch" not in script
    assert "innerHTML" not in script


def test_of_very_many_failures_the_page_has_some_in_full_and_names_the_others() -> None:
    results = tuple(
        Result(f"m/{number}", check, Status.FAILED, "1 finding", (ParameterMoved("same", "moved"),))
        for number in range(150)
        for check in ("a", "b")
    )
    page = to_html(RunReport(results))

    assert len(re.findall(r'<article class="told" id="failure', page)) == MOST_IN_FULL
    assert "100 more are named under their recipes, and in full in results.jsonl." in words(page)
    assert "m/99 2 failed ✗ failed moved: a, b" in words(page)


@pytest.mark.parametrize("status", list(Status))
def test_every_status_has_a_style_a_word_and_a_letter(status: Status) -> None:
    page = to_html(RunReport((Result("r", "c", status, "why"),)))

    assert re.search(rf"\.{status.value}[ ,]", page)
    assert re.search(rf"\.{CODES[status]}[ ,]", page)
    assert f"<td class={CODES[status]} data-w=1>" in page
    assert f"{SYMBOLS[status]} {status.value.replace('_', ' ')}" in words(page)
    assert len(set(SYMBOLS.values())) == len(set(CODES.values())) == len(Status)


def test_of_two_results_of_one_check_the_matrix_shows_the_more_urgent() -> None:
    results = (
        Result("r", "c", Status.PASSED),
        Result("r", "c", Status.FAILED),
        Result("r", "c", Status.PASSED),
    )

    cells = Structure(to_html(RunReport(results))).of("td")

    assert [cell["class"] for cell in cells] == ["f"]


def test_many_findings_are_folded_and_very_many_counted() -> None:
    findings = tuple(ParameterMoved("same", f"moved {number}") for number in range(60))
    page = to_html(RunReport((Result("r", "c", Status.FAILED, findings=findings),)))

    assert "moved 4 45 more ParameterMoved" in words(page)
    assert "moved 49 and 10 more of the same kind" in words(page)
    assert "moved 50" not in page


def test_the_page_needs_nothing_from_outside() -> None:
    page = to_html(RUN)
    structure = Structure(page)

    assert not [tag for tag, _ in structure.tags if tag in {"link", "img", "iframe", "object"}]
    assert not [attributes for _, attributes in structure.tags if "src" in attributes]
    assert "url(" not in page
    assert not re.search(r"https?:", page)
    assert "@import" not in page


def test_the_page_suits_the_dark_and_small_screens() -> None:
    page = to_html(RUN)

    assert "@media (prefers-color-scheme: dark)" in page
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in page


def test_the_baseline_and_the_environment_are_there() -> None:
    assert words(to_html(RUN)).endswith(
        "Compared with the baseline This run is worse than the baseline: 1 check newly failing and 1 check vanished. "
        "Newly failing (1) m/vision: frozen "
        "Vanished: judged in the baseline, not in this run (1) m/gone: loads "
        "Passed of judged recipe before after all 2/2 2/3 m/gone 1/1 – m/lora – 1/1 m/vision 1/1 1/2 "
        "Environment torch 2.11.0 &lt;i&gt; {&#34;x&#34;: &#34;&amp;&#34;}"
    )


def test_of_very_many_names_some_are_folded_and_the_others_counted() -> None:
    names = tuple(f"r: {number}" for number in range(MOST_NAMES + 7))

    said = words(to_html(replace(RUN, missing=names)))

    assert f"Vanished: judged in the baseline, not in this run ({MOST_NAMES + 8}) The first {MOST_NAMES}" in said
    assert "and 8 more" in said


def test_the_same_results_in_any_order_give_the_same_page() -> None:
    assert to_html(RUN) == to_html(replace(RUN, results=RUN.results[::-1]))


def test_no_results_say_so() -> None:
    page = to_html(RunReport(()))

    Structure(page)
    assert words(page) == "Skip to the results Fine-tuning regression report No check was run."


def test_control_characters_do_not_reach_the_page() -> None:
    page = to_html(RunReport((Result("r", "c", Status.FAILED, "\x1b[31mred\x1b[0m\x00 \ud800end"),)))

    assert "red end" in page
    assert "\x00" not in page
    assert page.encode("utf-8")
