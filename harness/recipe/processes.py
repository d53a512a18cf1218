"""Who starts the processes of a run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat

from harness.frozen import Frozen

LaunchedBy = Literal["fork", "torchrun", "deepspeed", "accelerate"]


def _as_launch(value: Any) -> Any:
    """A word is who starts the processes."""
    return {"by": value} if isinstance(value, str) else value


class Launch(Frozen):
    """Who starts the processes of a run, and how long they wait for each other before that counts as a hang.

    `fork` has them forked from a warm parent; the others are the commands that people type.
    """

    by: LaunchedBy = "fork"
    port: Annotated[int, Field(ge=1024, le=65535)] | None = Field(
        default=None, description="where processes that a command starts meet; none: a free one"
    )
    hostfile: str | None = Field(
        default=None,
        description="what DeepSpeed's launcher reads machines from; none: it reads no file, /job/hostfile"
        " included, and stays on this machine",
    )
    wait_seconds: PositiveFloat = 30


Launched = Annotated[Launch, BeforeValidator(_as_launch)]
