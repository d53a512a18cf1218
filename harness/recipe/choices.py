"""What can be done in more than one way that should come to the same: whichever is chosen, the run is the same run."""

from __future__ import annotations

from typing import Literal

Attention = Literal["eager", "sdpa"]
Logging = Literal["csv", "tensorboard", "wandb"]
Device = Literal["cpu", "cuda"]
Checkpointing = bool | Literal["reentrant"]
