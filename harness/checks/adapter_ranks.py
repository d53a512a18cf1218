"""AdaLoRA gives ranks away, until as many as were asked for are left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.checks.needs import AnAdapter, Closed, Need, Parameters, Steps
from harness.checks.registry import check
from harness.result import Finding, Reason
from harness.wording import count, listed

if TYPE_CHECKING:
    import numpy.typing as npt

    from harness.intent import AdapterIntent, Intent
    from harness.trace.parameter import Parameter
    from harness.trace.reader import Trace

# The factors of AdaLoRA, and along which axis each has one entry per rank.
RANK_AXIS = {".lora_E.": 0, ".lora_A.": 0, ".lora_B.": 1}


class RanksNotReduced(Finding):
    """More ranks in use after training than the adapter's budget, or none at all."""


@dataclass(frozen=True)
class _RankBudget(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return Reason.RANKS_FIXED if intent.adapter and intent.adapter.rank_budget is None else None

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return None if last_values(trace) else "the values after the last step were not kept: the model is too large"


@check(
    "of its ranks the adapter keeps as many as were asked for",
    source="peft #1801, #3373: nothing called update_and_allocate, and AdaLoRA stayed at init_r",
    needs=[AnAdapter, Parameters, Steps(1, effective=True), Closed, _RankBudget()],
)
def adapter_ranks_allocated(intent: Intent, trace: Trace) -> Iterator[Finding]:
    assert intent.adapter is not None
    assert intent.adapter.rank_budget is not None
    kept = ranks_kept(intent.adapter, trace)
    budget = intent.adapter.rank_budget * len(kept)
    in_use = sum(int(rows.sum()) for rows in kept.values())
    if not 0 < in_use <= budget:
        yield RanksNotReduced(
            expected=f"at most {budget} ranks in use, {intent.adapter.rank_budget} on average",
            seen=f"{in_use} on {count(len(kept), 'module')}",
            where=listed(sorted(kept)),
            cause="the training loop does not call update_and_allocate after each step, or ends before total_step",
            do="call model.base_model.update_and_allocate(step) between optimizer.step() and zero_grad()",
        )


def ranks_kept(adapter: AdapterIntent | None, trace: Trace) -> dict[str, npt.NDArray[Any]]:
    """By adapted module: which ranks of it are in use, the others masked to zero. Empty where nothing can be known."""
    if adapter is None or adapter.method != "adalora":
        return {}
    values = last_values(trace)
    return {
        owner(p): values[f"last/{p.index}"].ravel() != 0
        for p in trace.parameters
        if ".lora_E." in p.path and f"last/{p.index}" in values
    }


def owner(parameter: Parameter) -> str:
    """The path of the adapted module that a factor belongs to."""
    return parameter.path.rsplit(".", 2)[0]


def last_values(trace: Trace) -> dict[str, npt.NDArray[Any]]:
    """Every parameter after the last step, as `last/` and its index; nothing where they were not kept."""
    from harness.trace.arrays import read_arrays

    stored = next((event.get("arrays") for event in trace.of("final")), None)
    return read_arrays(Path(trace.directory) / "rank-0" / stored) if stored else {}
