"""Each check sees the smallest fault of its kind and nothing else, and is silent on what is whole."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from harness.checkpoint.inspecting import NAMES, Inspection, Meant, inspect
from harness.result import Severity
from tests.checkpoint.inspecting.conftest import Whole
from tests.checkpoint.inspecting.damage import DAMAGES

HEALTHY = ("llava", "minicpm", "minimind", "llava adapter", "minicpm adapter")


def said(inspection: Inspection) -> dict[str, str]:
    found: dict[str, list[str]] = defaultdict(list)
    for name, finding in inspection.findings:
        found[name].append(finding.kind)
    return {name: " ".join(kinds) for name, kinds in found.items()}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_seen_by_its_check_and_by_no_other(name: str, whole: Whole, tmp_path: Path) -> None:
    damage = DAMAGES[name]
    saved = whole.saved(damage.of, tmp_path / "saved")
    base = None if damage.without_base else whole.base(damage.of.split()[0])
    clean = inspect(saved, base, hashes=damage.hashes)
    assert clean.findings == ()
    assert set(damage.says) <= set(clean.judged)

    damage.do(saved)
    seen = inspect(saved, base, hashes=damage.hashes)
    assert said(seen) == damage.says
    findings = [finding for _, finding in seen.findings]
    assert damage.word in " ".join(" ".join((f.expected, f.seen, f.where, f.do)) for f in findings)
    assert all(finding.expected and finding.seen and finding.where and finding.do for finding in findings)
    assert {finding.severity for finding in findings} == {Severity.WARNING if damage.warning else Severity.ERROR}


@pytest.mark.parametrize("of", HEALTHY)
def test_what_is_whole_is_whole_with_a_base_and_without(of: str, whole: Whole, tmp_path: Path) -> None:
    saved = whole.saved(of, tmp_path / "saved")

    for base in (whole.base(of.split(maxsplit=1)[0]), None):
        inspection = inspect(saved, base, hashes=True)
        assert inspection.findings == ()
        assert set(inspection.judged) | set(inspection.not_judged) <= set(NAMES)
        assert all(inspection.not_judged.values())


def test_every_check_is_shown_to_see_something() -> None:
    assert {name for damage in DAMAGES.values() for name in damage.says} == set(NAMES)


def test_code_of_its_own_is_never_run(whole: Whole, tmp_path: Path) -> None:
    saved = whole.saved("minicpm", tmp_path / "saved")
    for path in saved.glob("*.py"):
        path.write_text("raise SystemExit('run')\n")

    assert inspect(saved).not_judged["inspect.keys"] == "needs remote code, which is not run: name its base with --base"


def test_what_was_not_meant_to_be_saved_is_not_missed(whole: Whole, tmp_path: Path) -> None:
    base, saved = whole.base("llava"), whole.saved("llava adapter", tmp_path / "saved")
    for path in list(saved.iterdir()):
        if "adapter" not in path.name:
            path.unlink()

    assert said(inspect(saved, base)).keys() == {"inspect.files"}
    assert inspect(saved, base, Meant.to_be("adapter")).findings == ()


def test_keys_that_are_left_out_on_purpose_are_not_missed(whole: Whole, tmp_path: Path) -> None:
    saved = whole.saved("llava", tmp_path / "saved")
    DAMAGES["one tensor not saved"].do(saved)

    meant = Meant(left_out=(r"vision_tower\..*layer_norm1\.bias",))
    assert inspect(saved, whole.base("llava"), meant).findings == ()
    assert inspect(saved, whole.base("llava"), Meant(left_out=("elsewhere",))).findings
