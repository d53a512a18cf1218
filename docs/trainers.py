"""Writes the table of docs/trainers.md from what `nox -s trainers` has seen, which is kept in docs/trainers.json.

python docs/trainers.py [TRAINERS.json]
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from trainers.asked import CASES, read_asked  # noqa: E402
from trainers.table import as_markdown, read_table  # noqa: E402

PAGE, DATA = HERE / "trainers.md", HERE / "trainers.json"
BEGIN, END = "<!-- written by docs/trainers.py -->\n", "<!-- end -->\n"


def page(text: str, data: Path = DATA) -> str:
    """The page with its table written anew."""
    rows = read_table(data)["trainers"]
    lines = [*as_markdown(rows)]
    ran = {row["trainer"]: {one["case"] for one in row["cases"]} for row in rows}
    for one in read_asked().trainers:
        if cases := [case for case in CASES if case not in ran.get(one.name, ())]:
            lines.append(
                f"- Not measured yet of {one.name}: {'all' if len(cases) == len(CASES) else ', '.join(cases)}."
            )
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        shutil.copyfile(sys.argv[1], DATA)
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
