"""What training starts from is whole, and what it started with is what the base directory holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checkpoint.verified import base_flaws
from harness.checks.adapter_needs import rewrites_base
from harness.checks.needs import Base, Parameters, VerifiedBase
from harness.checks.registry import check
from harness.result import Finding
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.parameter import Parameter
    from harness.trace.reader import Trace


INCOMPLETE = "an incomplete or altered download, or an earlier stage that did not save all its files"
OTHER = "code, configuration and weights are of different models, sizes or revisions"
CAUSES = {
    "its weights": f"{INCOMPLETE}; or weights of another size under this model's name",
    "its weights and configuration": f"{OTHER}, or the path is another directory's",
    "the model's forward and generate": f"{OTHER}, or something that loading alone does not set",
}
"""Why a base is broken, by the part of it that is."""


class WeightsNotLoaded(Finding):
    """Parameters that do not hold what the base directory has under their key."""


class BaseBroken(Finding):
    """A base directory that does not load, encode or generate: nothing was trained from it."""


@check(
    "the directory that training starts from loads, encodes and generates in a fresh process",
    source="MiniCPM-V #458, #168: code and weights of different revisions, blamed on the fine-tune",
    needs=[VerifiedBase],
)
def base_directory_sound(intent: Intent, trace: Trace) -> Iterator[Finding]:
    for flaw in base_flaws(trace.base_reloaded or {}):
        yield BaseBroken(
            expected=flaw.expected,
            seen=flaw.seen,
            where=f"the base directory: {flaw.where}",
            cause=CAUSES.get(flaw.where, INCOMPLETE),
            do="harness inspect DIRECTORY; get it anew, or complete it from the model it came from",
        )


@check(
    "every parameter starts as the base directory has it",
    source="minimind-v #75: load_state_dict(strict=False) loaded nothing after a renaming",
    needs=[Base, Parameters],
)
def base_weights_arrived(intent: Intent, trace: Trace) -> Iterator[Finding]:
    base = trace.header["base"]
    own = [p for p in trace.parameters if _starts_as_loaded(intent, p)]
    unknown = [p.key for p in own if p.key not in base and p.role == "base"]
    differing = [p.key for p in own if p.key in base and base[p.key].get(p.dtype) != p.first]
    for keys, seen in (
        (unknown, "not in the base directory"),
        (differing, "other values than in the base directory"),
    ):
        if keys:
            yield WeightsNotLoaded(
                expected=f"{count(len(own), 'parameter')} as in the base directory",
                seen=f"{len(keys)} {seen}",
                where=listed(keys),
                cause="the loader skipped keys that it did not recognise, as strict=False does, or the values were "
                "overwritten between loading and training",
                do="load with strict=True, or compare the checkpoint's key names with the model's",
            )


def _starts_as_loaded(intent: Intent, parameter: Parameter) -> bool:
    """Whether nothing changes it between loading and training: no token added, no adapter that rewrites it."""
    if parameter.role == "adapter" or intent.is_resized(parameter.key):
        return False
    rewritten = intent.adapter is not None and rewrites_base(intent.adapter)
    return not (rewritten and ".base_layer." in parameter.path)
