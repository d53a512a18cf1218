"""A checkpoint of DeepSpeed's has the shards of all processes, of the last step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.needs import Closed, Need, Reload
from harness.checks.registry import check
from harness.result import Finding, Reason
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace

_STEP = re.compile(r"(?:.*/)?global_step(\d+)/(.+)")
LATEST = "latest"


class ShardsMissing(Finding):
    """A checkpoint of shards that lacks some: what those processes had is nowhere else."""


class ShardsOfOtherStep(Finding):
    """A checkpoint of shards of another step than the last."""


@dataclass(frozen=True)
class _Shards(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.save.shards else Reason.NO_SHARDS_SAVED

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return None if trace.inventory is not None else "the saved directory could not be listed"


@check(
    "a checkpoint of shards has one of each process, of the last step",
    source="DeepSpeed: a process that did not save, or a node whose disk was not copied; zero_to_fp32 then cannot help",
    needs=[Closed, Reload, _Shards()],
)
def saved_shards_complete(intent: Intent, trace: Trace) -> Iterator[Finding]:
    assert trace.inventory is not None
    steps: dict[int, set[str]] = {}
    for name in trace.inventory["files"]:
        if found := _STEP.fullmatch(name):
            steps.setdefault(int(found[1]), set()).add(found[2])
    last = max(steps, default=None)
    wanted = shard_names(intent)
    if last is None or not any(name.rpartition("/")[2] == LATEST for name in trace.inventory["files"]):
        yield ShardsMissing(
            expected=f"a folder global_step{len(trace.steps)}, and a file {LATEST} that names it",
            seen="no folder of a step" if last is None else f"no file {LATEST}",
            where="the saved directory",
            cause="save_checkpoint was not called, or not by every process",
        )
    elif absent := [name for name in wanted if not any(file.endswith(name) for file in steps[last])]:
        yield ShardsMissing(
            expected=count(len(wanted), "file"),
            seen=f"{len(absent)} not there",
            where=f"global_step{last}: {listed(absent)}",
            cause="a process did not save, or what it saved on its own disk was not copied",
            do="call save_checkpoint in every process, and copy the folder of each node",
        )
    elif last != len(trace.steps):
        yield ShardsOfOtherStep(
            expected=f"shards of step {len(trace.steps)}",
            seen=f"of step {last}",
            where=f"global_step{last}",
            cause="the last checkpoint was saved before the last step",
        )


def shard_names(intent: Intent) -> list[str]:
    """How the names of the files end that belong to a checkpoint."""
    stage = intent.mechanisms.zero.stage if intent.mechanisms.zero else 0
    ranks = [f"zero_pp_rank_{rank}_mp_rank_00" for rank in range(intent.processes)]
    models = [f"{name}_model_states.pt" for name in ranks] if stage == 3 else ["mp_rank_00_model_states.pt"]
    return models + ([f"{name}_optim_states.pt" for name in ranks] if stage else [])
