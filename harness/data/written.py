"""The samples written as files that trainers read: one directory, the same bytes each time, pictures beside the text.

Paths of pictures are relative to the directory. A trainer that looks elsewhere is told so by its own option: LLaVA's
`--image_folder`, LLaMA-Factory's `dataset_dir`; MiniCPM-V's script is run from inside the directory.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data.conversations import CONVERSATIONS
from harness.data.draw import as_llava, as_minicpm, write_json
from harness.data.sample import MARKER
from harness.refusal import Refused

if TYPE_CHECKING:
    from harness.data.sample import Sample
    from harness.recipe.fields import SampleKind

PICTURES = Path(__file__).parent / "samples" / "images"
DATASET = "harness"  # what LLaMA-Factory's `dataset:` calls it


@dataclass(frozen=True)
class Written:
    """A format: who reads it, how samples become its files, and whether it can hold pictures."""

    readers: str
    write: Callable[[Path, Sequence[Sample]], None]
    pictures: bool = True


def write_samples(form: str, directory: Path, kinds: Sequence[SampleKind] = (), count: int | None = None) -> int:
    """Write the shipped samples of these kinds (none: all that the format holds), the first `count` of them.

    Where there are fewer they go round. Returns how many were written. Raises Refused where there is none.
    """
    written = FORMATS[form]
    chosen = [one for one in CONVERSATIONS if (not kinds or one.kind in kinds) and (written.pictures or not one.images)]
    if not chosen:
        what = f"no sample of kind {', '.join(kinds)} can be written in the format {form}"
        raise Refused(what, do="it holds text alone: leave the kind out")
    count = len(chosen) if count is None else count
    samples = [chosen[number % len(chosen)] for number in range(count)]
    written.write(directory, samples)
    for image in sorted({image for sample in samples for image in sample.images}):
        (directory / image).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PICTURES / image.name, directory / image)
    return count


def as_message_parts(sample: Sample) -> dict[str, Any]:
    """The sample as chat messages whose content is a list of parts, as Hugging Face's data sets have it."""
    messages = []
    for turn in sample.turns:
        pieces = turn.text.split(MARKER)
        parts: list[dict[str, str]] = []
        for place, piece in enumerate(pieces):
            if place:
                parts.append({"type": "image", "text": ""})  # every part has both keys: the columns of a table
            if piece.strip():
                parts.append({"type": "text", "text": piece.strip("\n")})
        messages.append({"role": turn.speaker, "content": parts})
    return {"images_file_names": [image.as_posix() for image in sample.images], "messages": messages}


def as_sharegpt(sample: Sample) -> dict[str, Any]:
    """The sample in LLaMA-Factory's sharegpt format, in the words of OpenAI's."""
    messages = [{"role": turn.speaker, "content": turn.text} for turn in sample.turns]
    return {"messages": messages, "images": [image.as_posix() for image in sample.images]}


def _llava(directory: Path, samples: Sequence[Sample]) -> None:
    write_json(directory / "data.json", map(as_llava, samples))


def _minicpm(directory: Path, samples: Sequence[Sample]) -> None:
    write_json(directory / "data.json", map(as_minicpm, samples))


def _messages(directory: Path, samples: Sequence[Sample]) -> None:
    """`metadata.jsonl` beside pictures is what `load_dataset(DIRECTORY)` makes a data set of images from."""
    if any(sample.images for sample in samples):
        _write_lines(directory / "metadata.jsonl", map(as_message_parts, samples))
        return
    rows = ({"messages": as_sharegpt(sample)["messages"]} for sample in samples)
    _write_lines(directory / "train.jsonl", rows)


def _minimind(directory: Path, samples: Sequence[Sample]) -> None:
    """One file for each of its readers: fine-tuning on conversations, and pre-training on plain text."""
    turns = ([{"role": turn.speaker, "content": turn.text} for turn in sample.turns] for sample in samples)
    _write_lines(directory / "sft.jsonl", ({"conversations": one} for one in turns))
    texts = (" ".join(turn.text for turn in sample.turns) for sample in samples)
    _write_lines(directory / "pretrain.jsonl", ({"text": text} for text in texts))


def _llama_factory(directory: Path, samples: Sequence[Sample]) -> None:
    write_json(directory / "data.json", map(as_sharegpt, samples))
    columns = {"messages": "messages", "images": "images"}
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    about = {"file_name": "data.json", "formatting": "sharegpt", "columns": columns, "tags": tags}
    info = json.dumps({DATASET: about}, indent=2) + "\n"
    (directory / "dataset_info.json").write_text(info, encoding="utf-8", newline="\n")


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8", newline="\n")


FORMATS = {
    "llava": Written("LLaVA and its kin: data.json, conversations of human and gpt", _llava),
    "minicpm-v": Written("MiniCPM-V: data.json, conversations of user and assistant", _minicpm),
    "messages": Written("TRL and whoever reads Hugging Face's data sets: load_dataset(DIRECTORY)", _messages),
    "minimind": Written("MiniMind: sft.jsonl and pretrain.jsonl, text alone", _minimind, pictures=False),
    "llama-factory": Written(
        f"LLaMA-Factory: data.json and dataset_info.json, by the name {DATASET!r}", _llama_factory
    ),
}
