"""From a conversation to the inputs and labels of any type, through its own processor, and from those to a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.data import Sample, decoded_images
from harness.data.sample import MARKER
from harness.families.budget import refuse_too_long
from harness.families.library.tokens import CLOSE, OPEN
from harness.families.supervision import IGNORED_LABEL, Answer, Piece
from harness.refusal import Refused

if TYPE_CHECKING:
    import torch

PACKED = "target_sizes"  # how many patches each picture has, of models that are given all patches in one row
POSITIONS = "image_embeds_position_mask"  # where features go, of models that tell it by place and not by token
# What of a processor's result belongs to the tokens, and what stands in its padding.
BY_TOKEN = {
    "attention_mask": 0,
    "token_type_ids": 0,
    "mm_token_type_ids": 0,
    "moe_mm_token_type_ids": 0,
    "cross_attention_mask": 0,
    "position_ids": 0,
    POSITIONS: 0,
    "images_seq_mask": 0,
    "images_emb_mask": 0,
    "image_attention_mask": 0,
}


@dataclass(frozen=True)
class LibraryBatches:
    """How the models of a type are fed. `picture` is what stands for one in a text, empty where nothing does."""

    picture: str
    places: tuple[int, ...] = ()  # the tokens in whose places features of pictures go
    name: str = ""
    pictures_only: str = ""
    one_picture: str = ""
    shown: int = 1  # how often each picture
    nested: bool = False  # the processor takes a list of pictures for each sample
    typed: bool = False  # the model asks which tokens are pictures', and not every processor says it
    call: Mapping[str, Any] = field(default_factory=dict)  # what each call of the processor is told

    def pieces_of(self, sample: Sample) -> list[Piece]:
        """ChatML, cut where supervision begins and ends."""
        pieces: list[Piece] = []
        for turn in sample.turns:
            said = turn.text.replace(MARKER, self.picture).strip()
            pieces += [
                Piece(f"{OPEN}{turn.speaker}\n", supervised=False),
                Piece(f"{said}{CLOSE}", supervised=turn.speaker == "assistant"),
                Piece("\n", supervised=False),
            ]
        return pieces

    def answers_of(self, sample: Sample) -> list[Answer]:
        """What is learned, as text: each answer and its end."""
        return [Answer(f"{turn.text.strip()}{CLOSE}") for turn in sample.turns if turn.speaker == "assistant"]

    def encode(self, sample: Sample, processor: Any, max_length: int) -> dict[str, Any]:
        """One sample as model inputs; see Family.encode."""
        import torch

        if self.pictures_only and not sample.images:
            what = f"sample {sample.id}: {self.name} takes no text without a picture: {self.pictures_only}"
            raise Refused(what, do="take text out of data.mix")
        if self.one_picture and len(sample.images) > 1:
            what = f"sample {sample.id}: {self.name} takes one picture a sample: {self.one_picture}"
            raise Refused(what, do="take several out of data.mix")
        images = decoded_images(sample)
        text = "".join(piece.text for piece in self.pieces_of(sample))
        shown = [one for one in images for _ in range(self.shown)]
        given: Any = [shown] if self.nested else shown
        inputs = processor(text=[text], images=given if images else None, return_tensors="pt", **self.call)
        ids = inputs["input_ids"][0].tolist()
        tokens = sum(ids.count(one) for one in self.places)
        refuse_too_long(sample.id, len(ids), tokens, max_length)
        encoded = {
            name: value[0] if name == "input_ids" or name in BY_TOKEN else _in_fp32(value)
            for name, value in inputs.items()
            if value is not None
        }
        if self.typed and "mm_token_type_ids" not in encoded:
            encoded["mm_token_type_ids"] = sum(inputs["input_ids"][0] == one for one in self.places).long()
        encoded["labels"] = torch.tensor(self._labels(sample, ids, processor.tokenizer))
        return encoded

    def _labels(self, sample: Sample, ids: list[int], tokenizer: Any) -> list[int]:
        """The ids of each answer in its place. Special tokens stand around answers, so that their ids are the same
        whatever the processor has made of the rest."""
        labels = [IGNORED_LABEL] * len(ids)
        at = 0
        for answer in self.answers_of(sample):
            before = _ids(tokenizer, f"{OPEN}assistant\n")
            wanted = [*before, *_ids(tokenizer, answer.text)]
            at = _found(ids, wanted, at, sample.id)
            labels[at + len(before) : at + len(wanted)] = wanted[len(before) :]
            at += len(wanted)
        return labels

    def collate(self, encoded: list[dict[str, Any]], processor: Any) -> dict[str, Any]:
        """A batch padded on the right; what belongs to pictures one after the other."""
        import torch

        fills = {"input_ids": processor.tokenizer.pad_token_id, "labels": IGNORED_LABEL, **BY_TOKEN}
        batch: dict[str, Any] = {}
        for name in dict.fromkeys(name for one in encoded for name in one):
            rows = [one[name] for one in encoded if name in one]
            if name in fills:
                wide = [row[0] for row in _widened([row[None] for row in rows], 2)]
                batch[name] = torch.nn.utils.rnn.pad_sequence(wide, batch_first=True, padding_value=fills[name])
            elif name == "pixel_values" and PACKED in encoded[0]:
                batch[name] = torch.cat(rows, dim=-1)
            elif torch.is_tensor(rows[0]):
                batch[name] = _joined(rows)
            else:
                batch[name] = [value for row in rows for value in row]
        return batch

    def image_places(self, batch: dict[str, Any], processor: Any) -> torch.Tensor:
        """Where image tokens stand, bool of shape (batch, length)."""
        import torch

        if POSITIONS in batch:
            return batch[POSITIONS].bool()  # type: ignore[no-any-return]
        return torch.isin(batch["input_ids"], torch.tensor(self.places, dtype=torch.long))


def _in_fp32(value: Any) -> Any:
    """Pictures as the weights are: there are processors that give them in 16 bits."""
    import torch

    return value.float() if torch.is_tensor(value) and value.is_floating_point() else value


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _found(ids: list[int], wanted: list[int], start: int, sample_id: str) -> int:
    for at in range(start, len(ids) - len(wanted) + 1):
        if ids[at : at + len(wanted)] == wanted:
            return at
    raise Refused(
        f"sample {sample_id}: an answer's tokens are not among those that the processor gives",
        do="check the processor: it may change the text, or cut it",
    )


def _joined(rows: list[torch.Tensor]) -> torch.Tensor:
    """Tensors one after the other, those that are smaller in some further direction padded with zeros."""
    import torch

    return torch.cat(_widened(rows, 1))


def _widened(rows: list[torch.Tensor], first: int) -> list[torch.Tensor]:
    """Tensors padded with zeros to the same lengths in all directions from the one of that number on."""
    import torch

    lengths = [max(row.shape[at] for row in rows) for at in range(first, rows[0].dim())]
    made = []
    for row in rows:
        missing = [(0, wide - have) for wide, have in zip(lengths, row.shape[first:], strict=True)]
        made.append(torch.nn.functional.pad(row, [edge for pair in reversed(missing) for edge in pair]))
    return made


def padded(batch: dict[str, Any], side: str, count: int, pad_token: int) -> dict[str, Any]:
    """The batch with `count` tokens of padding beside every row; what belongs to pictures stays."""
    import torch

    def wider(rows: Any, value: int) -> Any:
        edges = (count, 0) if side == "left" else (0, count)
        return torch.nn.functional.pad(rows, (*(0, 0) * (rows.dim() - 2), *edges), value=value)

    values = {"input_ids": pad_token, **BY_TOKEN}
    return {name: wider(value, values[name]) if name in values else value for name, value in batch.items()}
