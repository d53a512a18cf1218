"""What training goes on from is what it was stopped with: weights no less precise than the optimizer's moments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.needs import Closed, Need, Reload
from harness.checks.precision_seen import HALF
from harness.checks.registry import check
from harness.result import Finding, Reason
from harness.wording import count

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class ResumeFileMissing(Finding):
    """No file to go on from, or one that cannot be read without running code."""


class ResumeRounded(Finding):
    """Weights in 16 bits beside an optimizer's moments in 32: what goes on is not what was stopped."""


@dataclass(frozen=True)
class _Resumes(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.save.resume else Reason.NO_RESUME_FILE


@check(
    "the file that training goes on from holds weights as precise as the moments beside them",
    source="MiniMind's *_resume.pth: halved weights beside fp32 moments, so that resumed is not uninterrupted",
    needs=[Closed, Reload, _Resumes()],
)
def resume_file_in_full(intent: Intent, trace: Trace) -> Iterator[Finding]:
    reloaded = trace.reloaded or {}
    found = reloaded.get("resume")
    if not found:
        yield ResumeFileMissing(
            expected="a file with weights, optimizer and step, of tensors and plain values alone",
            seen=reloaded.get("resume_error", "no such file"),
            where="the saved directory",
            cause="saved at intervals that no step of the run met, or with objects of classes among its values",
        )
        return
    halved = sum(found["weights"].get(dtype, 0) for dtype in HALF)
    if halved and intent.weights not in HALF and any(dtype not in HALF for dtype in found["moments"]):
        yield ResumeRounded(
            expected=f"weights in {intent.weights}, as the optimizer's moments are",
            seen=f"{count(halved, 'weight')} in 16 bits beside moments in {', '.join(sorted(found['moments']))}",
            where=found["file"],
            cause="the state dict was halved for the weights' own file, and handed to the resume file too",
            do="save model.state_dict() as it is where training goes on from it",
        )
