"""Layer 4. Says what the checks found: on the terminal, in Markdown, as one HTML page."""

from harness.report.html import to_html
from harness.report.markdown import to_markdown
from harness.report.model import RunReport
from harness.report.summary import Counts, Summary
from harness.report.terminal import closing_lines, failure_block, recipe_line

__all__ = [
    "Counts",
    "RunReport",
    "Summary",
    "closing_lines",
    "failure_block",
    "recipe_line",
    "to_html",
    "to_markdown",
]
