"""What a recipe says to DeepSpeed: a stage and what is offloaded, or the path of a DeepSpeed JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from harness.frozen import Frozen
from harness.refusal import Refused

Stage = Literal[0, 1, 2, 3]
Section = dict[str, Any]


class Zero(Frozen):
    """What ZeRO was asked for: its stage, and what lies in the host's memory."""

    stage: Stage
    offload_optimizer: bool = False
    offload_parameters: bool = False


class DeepSpeed(Frozen):
    """ZeRO by its stage, or as a DeepSpeed JSON of one's own says it.

    By its stage, everything is partitioned however small it is: at DeepSpeed's defaults a tiny model is not.
    """

    stage: Stage | None = Field(default=None, description="of ZeRO; 2 where no configuration says another")
    offload_optimizer: bool = Field(default=False, description="the optimizer's state lies in the host's memory")
    offload_parameters: bool = Field(default=False, description="so do partitioned parameters; stage 3")
    config: str | None = Field(
        default=None,
        description="the path of a DeepSpeed JSON; its auto values are filled in as transformers' trainer does",
    )
    gather_on_save: bool = Field(
        default=True,
        description="weights are gathered as they are saved; else a checkpoint of shards is made into one afterwards",
    )

    def asked(self) -> Zero:
        """What is asked of ZeRO, whichever way it is written. Raises Refused for a JSON that is none."""
        if self.config is None:
            return Zero(
                stage=2 if self.stage is None else self.stage,
                offload_optimizer=self.offload_optimizer,
                offload_parameters=self.offload_parameters,
            )
        section = section_of(config_at(self.config), "zero_optimization")
        stage = section.get("stage", 0)
        if stage not in (0, 1, 2, 3):
            raise Refused(f"zero_optimization.stage is {stage!r}", where=self.config, do="write 0, 1, 2 or 3")
        return Zero(
            stage=stage,
            offload_optimizer=_on_host(section, "offload_optimizer"),
            # DeepSpeed heeds offload_param at stage 3 alone, and says nothing of it elsewhere.
            offload_parameters=stage == 3 and _on_host(section, "offload_param"),
        )


def config_at(path: str) -> Section:
    """The sections of a DeepSpeed JSON. Raises Refused, in one line, for a file that is none."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror}", where=path, do="name a DeepSpeed JSON") from None
    except ValueError as error:
        raise Refused(f"is no JSON: {error}", where=path, do="name a DeepSpeed JSON") from None
    if not isinstance(found, dict):
        raise Refused("holds no object", where=path, do="name a DeepSpeed JSON")
    return found


def section_of(config: Section, name: str) -> Section:
    """A section of a configuration; empty where it is not there."""
    found = config.get(name)
    return found if isinstance(found, dict) else {}


def _on_host(section: Section, name: str) -> bool:
    return section_of(section, name).get("device", "none") not in (None, "none")
