"""What people read of every specimen: each finding's words, to be looked at whenever they change.

python -m tests.judging.wording
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.judging.evidence import Evidence

RECORDED = Path(__file__).with_name("wording.json")
Words = dict[str, dict[str, list[dict[str, str]]]]


def words_of(check: str, alter: Any, folder: Path) -> list[dict[str, str]]:
    """The findings of a check on one specimen, in order, without the folder that the evidence lies in."""
    evidence = Evidence(folder)
    alter(evidence)
    findings = [finding.to_json() for finding in evidence.judged(check).findings]
    plain: list[dict[str, str]] = json.loads(json.dumps(findings).replace(str(folder), "FOLDER"))
    return plain


def all_words() -> Words:
    """By check and specimen, what is said."""
    from tests.judging.specimens import SPECIMENS

    words: Words = {}
    for check, rows in sorted(SPECIMENS.items()):
        for kind, what, alter in rows:
            with tempfile.TemporaryDirectory() as folder:
                words.setdefault(check, {})[f"{kind}: {what}"] = words_of(check, alter, Path(folder))
    return words


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(all_words(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
