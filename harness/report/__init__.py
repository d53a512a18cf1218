"""Layer 4. Says what the checks found: on the terminal, in Markdown, as one HTML page, as JUnit XML."""

from harness.report.about import AboutRun, again_command, seen_from_here
from harness.report.divergence import divergence_lines, divergence_table, origins
from harness.report.files import write_reports
from harness.report.html import to_html
from harness.report.junit import to_junit
from harness.report.markdown import to_markdown
from harness.report.model import RunReport
from harness.report.summary import Counts, Summary
from harness.report.terminal import closing_lines, failure_block, recipe_line

__all__ = [
    "AboutRun",
    "Counts",
    "RunReport",
    "Summary",
    "again_command",
    "closing_lines",
    "divergence_lines",
    "divergence_table",
    "failure_block",
    "origins",
    "recipe_line",
    "seen_from_here",
    "to_html",
    "to_junit",
    "to_markdown",
    "write_reports",
]
