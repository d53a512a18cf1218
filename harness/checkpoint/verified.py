"""What is wrong with a base directory, from the record of the process that loaded it as a stranger would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SHOWN = 3


@dataclass(frozen=True)
class Flaw:
    """One thing that a base directory should do and does not."""

    expected: str
    seen: str
    where: str


PROMISES = (
    ("inventory_error", "files that can be listed", "its files"),
    ("model_error", "a model from the public Auto classes", "its weights and configuration"),
    ("tokenizer_error", "a tokenizer", "its tokenizer files"),
    ("processor_error", "a processor that encodes", "its processor files"),
    ("encoding_error", "samples that its processor can encode", "its processor, as the family feeds it"),
    ("outputs_error", "logits and generated ids", "the model's forward and generate"),
)


def base_flaws(record: Mapping[str, Any]) -> Iterator[Flaw]:
    """What keeps a fine-tune from starting there: nothing for a base that loads whole, encodes and generates."""
    for name, expected, where in PROMISES:
        if name in record:
            yield Flaw(expected, str(record[name]), where)
    for what in ("missing", "mismatched"):
        if keys := record.get(what):
            more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
            yield Flaw(f"no {what} keys", ", ".join(keys[:SHOWN]) + more, "its weights")
    if "Tokenizer" in str(record.get("processor_class")):
        yield Flaw("a processor", f"{record['processor_class']}: a tokenizer came back", "its processor files")
