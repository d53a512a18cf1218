"""Where the processes of one run meet, as environment variables under the names that torch and its launchers use.

Standard library only. Processes that a command has started find RANK and WORLD_SIZE there, set by that command; those
that are forked meet over a file, so that no port can be taken by somebody else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MEETING_FILE = "HARNESS_MEETING_FILE"


@dataclass(frozen=True)
class Rank:
    """This process's number, how many there are, and the file over which they meet, if it is not by address."""

    number: int = 0
    world: int = 1
    meeting_file: str | None = None


def rank_of(environment: Mapping[str, str] | None = None) -> Rank:
    """Which of how many processes this one is; the only one where nothing says otherwise."""
    known = os.environ if environment is None else environment
    return Rank(int(known.get("RANK", "0")), int(known.get("WORLD_SIZE", "1")), known.get(MEETING_FILE))


def output_of(output: str, number: int) -> str:
    """The file for what one of several processes says; the first has that of the run."""
    place = Path(output)
    return output if number == 0 else str(place.with_name(f"{place.stem}-{number}{place.suffix}"))


def variables(number: int, world: int, meeting_file: str) -> dict[str, str]:
    """The environment of one of the forked processes of a run."""
    return {
        "RANK": str(number),
        "LOCAL_RANK": str(number),
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(world),
        MEETING_FILE: meeting_file,
    }
