"""What the command line asks of the recorder in another process, as it goes there: JSON in one variable."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

VARIABLE = "HARNESS_TRACE"


@dataclass(frozen=True)
class Options:
    """`out` is where traces go. `steps` ends the script after so many optimizer steps; `every` looks at values at each
    so many steps alone, 0 for as often as costs little; `attach_after` begins after so many steps. `name` is the first
    trace's. `last_look` evaluates models when training is over; `reload` leaves what is needed to load the newest saved
    directory again, which a last look is a part of."""

    out: str
    steps: int = 0
    every: int = 0
    attach_after: int = 0
    name: str = "trace"
    last_look: bool = False
    reload: bool = False

    def encoded(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def decoded(cls, text: str) -> Options:
        return cls(**json.loads(text))
