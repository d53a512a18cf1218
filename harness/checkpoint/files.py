"""The files that weights lie in where no library has a name for them."""

from __future__ import annotations

from pathlib import Path

from harness.places import NATIVE
from harness.refusal import Refused

TRAINED = "trained.safetensors"  # what was trained and nothing else, to be laid over the base
RESUME = "_resume.pth"  # how the file ends from which a native loop goes on
PROJECTOR = "mm_projector.bin"  # of a first stage: the connector, and whatever else bears its name
TRAINABLES = ("non_lora_trainables.bin", "vpm_resampler_embedtokens.pt")  # what trained in place beside an adapter
HANDED_OVER = ".handed-over.safetensors"  # beside a merged directory: what the model computed before it was merged
BESIDE = (PROJECTOR, *TRAINABLES)
ADAPTER = "adapter_config.json"

_OF_PART = {
    "projector": (PROJECTOR,),
    "trainables": TRAINABLES,
    "partial": (TRAINED,),
    "native": (NATIVE,),
    "adapter": (ADAPTER,),
}


def part_path(kind: str, place: Path) -> Path:
    """Where the file of a part is, or should be, given the directory that it was saved in or the file itself."""
    if place.is_file():
        return place
    if kind == "native":
        return native_path(place)
    paths = [place / name for name in _OF_PART[kind]]
    return next((path for path in paths if path.is_file()), paths[0])


def refuse_missing_part(kind: str, place: Path) -> None:
    """Raise Refused, in one line with the path that was looked at, where there is no such file."""
    if not part_path(kind, place).is_file():
        what = f"no {' or '.join(_OF_PART[kind])} there" if place.is_dir() else "no such file"
        raise Refused(what, where=str(place.absolute()), do=f"name what an earlier run has saved as its {kind}")


def native_path(directory: Path) -> Path:
    """The state dict of a directory that holds one, whatever its name; a file to resume from is none."""
    found = [path for path in sorted(directory.glob("*.pth")) if not path.name.endswith(RESUME)]
    return found[0] if found else directory / NATIVE
