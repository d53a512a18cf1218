"""Writes the table of docs/library_bugs.md from what `nox -s library_bugs` has seen, kept in docs/library_bugs.json.

python docs/library_bugs.py [LIBRARY_BUGS.json]
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from library_bugs.asked import read_bugs  # noqa: E402
from library_bugs.table import as_markdown, read_table  # noqa: E402

PAGE, DATA = HERE / "library_bugs.md", HERE / "library_bugs.json"
BEGIN, END = "<!-- written by docs/library_bugs.py -->\n", "<!-- end -->\n"


def page(text: str, data: Path = DATA) -> str:
    """The page with its table written anew."""
    bugs, rows = read_bugs().bugs, read_table(data)["bugs"]
    lines = [*as_markdown(bugs, rows), ""]
    lines += [f"- `{name}`, where nobody is told: {bugs[name].silent}." for name in rows]
    lines += [f"- Not measured yet: `{name}`." for name in bugs if name not in rows]
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        shutil.copyfile(sys.argv[1], DATA)
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
