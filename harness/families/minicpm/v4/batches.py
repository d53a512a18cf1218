"""From a conversation to MiniCPM-V 4.6's inputs and labels, one sample at a time, and from those to a batch."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from harness.data import Sample, decoded_images
from harness.data.sample import MARKER
from harness.families.budget import refuse_too_long
from harness.families.minicpm.v4.processing import CLOSE, OPEN, PICTURE
from harness.families.supervision import IGNORED_LABEL, Answer, Piece, labels_for

if TYPE_CHECKING:
    import torch

# A picture in a prompt: its number, its places, and row by row those of its parts.
_MANY = rf"(?:{re.escape(PICTURE)})+"
SHOWN = re.compile(rf"(?:<image_id>\d+</image_id>)?<image>{_MANY}</image>(?:\n?<slice>{_MANY}</slice>)*")
BY_TOKEN = {"attention_mask": 0, "mm_token_type_ids": 0}


def pieces_of(sample: Sample) -> list[Piece]:
    """ChatML, cut where supervision begins and ends; the library's token stands for every picture."""
    pieces: list[Piece] = []
    for turn in sample.turns:
        said = turn.text.replace(MARKER, PICTURE).strip()
        pieces += [
            Piece(f"{OPEN}{turn.speaker}\n", supervised=False),
            Piece(f"{said}{CLOSE}", supervised=turn.speaker == "assistant"),
            Piece("\n", supervised=False),
        ]
    return pieces


def answers_of(sample: Sample) -> list[Answer]:
    """What is learned, as text: each answer and its end."""
    return [Answer(f"{turn.text.strip()}{CLOSE}") for turn in sample.turns if turn.speaker == "assistant"]


def encode(sample: Sample, processor: Any, max_length: int) -> dict[str, Any]:
    """One sample as model inputs; see Family.encode. Patches of all pictures and parts lie in one row."""
    import torch

    images = decoded_images(sample)
    pieces = pieces_of(sample)
    text = "".join(piece.text for piece in pieces)
    inputs = processor(text=[text], images=images or None, return_tensors="pt")
    ids = inputs["input_ids"][0].tolist()
    refuse_too_long(sample.id, len(ids), ids.count(processor.image_token_id), max_length)
    written = processor.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    shown = iter(SHOWN.findall(written))
    expanded = [Piece(re.sub(re.escape(PICTURE), lambda _: next(shown), p.text), p.supervised) for p in pieces]
    encoded = {name: inputs[name][0] for name in ("input_ids", *BY_TOKEN) if name in inputs}
    encoded["labels"] = torch.tensor(labels_for(expanded, ids, processor.tokenizer, sample.id))
    if images:
        encoded |= {name: inputs[name] for name in ("pixel_values", "target_sizes")}
    return encoded


def collate(encoded: list[dict[str, Any]], processor: Any) -> dict[str, Any]:
    """A batch padded on the right, the patches of all its pictures in one row."""
    import torch

    values = {"input_ids": processor.tokenizer.pad_token_id, **BY_TOKEN, "labels": IGNORED_LABEL}
    batch = {
        name: torch.nn.utils.rnn.pad_sequence([one[name] for one in encoded], batch_first=True, padding_value=value)
        for name, value in values.items()
        if name in encoded[0]
    }
    if seen := [one for one in encoded if "pixel_values" in one]:
        batch["pixel_values"] = torch.cat([one["pixel_values"] for one in seen], dim=-1)
        batch["target_sizes"] = torch.cat([one["target_sizes"] for one in seen])
    return batch


def image_places(batch: dict[str, Any], processor: Any) -> torch.Tensor:
    """Where image tokens stand, bool of shape (batch, length)."""
    places: torch.Tensor = batch["input_ids"] == processor.image_token_id
    return places
