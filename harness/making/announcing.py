"""What a run announces of its samples before it trains: what must reach the model, as numbers.

The recorder sees what did reach it, and the checks compare. A trace keeps no text, so that the text which is learned is
read back here: the labels of each sample are decoded and held against its turns, and the digests of both are announced
beside a fingerprint of those labels. What the recorder finds before the loss has that fingerprint or is something else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.families.supervision import IGNORED_LABEL, read_back
from harness.recording.batches import sample_fingerprints
from harness.recording.digests import Digest
from harness.recording.learned import learned_rows
from harness.trace.nested import tensors_in

if TYPE_CHECKING:
    import torch

    from harness.data import Sample
    from harness.families import Family


def announced(
    samples: list[list[Sample]],
    encoded: list[list[dict[str, Any]]],
    batches: list[dict[str, Any]],
    family: Family,
    processor: Any,
) -> dict[str, Any]:
    """By micro-batch and row: name, fingerprint, length, labels and image tokens; by micro-batch the pictures."""
    tokenizer = processor.tokenizer
    pairs = [list(zip(*rows, strict=True)) for rows in zip(samples, encoded, strict=True)]
    return {
        "samples": [[sample.id for sample, _ in rows] for rows in pairs],
        "fingerprints": [[sample_fingerprints(one["input_ids"][None])[0] for _, one in rows] for rows in pairs],
        "lengths": [[len(one["input_ids"]) for _, one in rows] for rows in pairs],
        "pictures": [_stretches(family.image_places(batch, processor)) for batch in batches],
        "pixels": [
            Digest()(seen) if (seen := list(tensors_in(batch.get("pixel_values")))) else None for batch in batches
        ],
        "learned": [[_learned(sample, one, family, tokenizer) for sample, one in rows] for rows in pairs],
    }


def _stretches(places: torch.Tensor) -> list[list[list[int]]]:
    """By row, where image tokens begin and end."""
    return learned_rows(places.long(), 0)["stretches"]


def _learned(sample: Sample, encoded: dict[str, Any], family: Family, tokenizer: Any) -> dict[str, Any]:
    """Where labels stand, the fingerprint of their ids, and the text they say against the text that was promised."""
    labels = encoded["labels"]
    rows = learned_rows(labels[None], IGNORED_LABEL)
    text = read_back(
        encoded["input_ids"].tolist(), labels.tolist(), family.answers(sample), family.labels_early, tokenizer
    )
    return {"fingerprint": rows["fingerprint"][0], "stretches": rows["stretches"][0], "text": text.digests()}
