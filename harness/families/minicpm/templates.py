"""How MiniCPM-V's training script writes a conversation down, by the script's own word for each language model.

An answer's end is learned once more where the user's turn begins, whatever stands there: see `batches.shifted`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.data import Sample
from harness.data.sample import MARKER
from harness.families.minicpm import tokens
from harness.families.supervision import Answer, Piece


@dataclass(frozen=True)
class Template:
    """One way to write a conversation.

    `name` is the script's llm_type. `turn_end` gives the token id that is learned where an answer is over; `piecewise`
    says that each piece is tokenized by itself.
    """

    name: str
    pieces_of: Callable[[Sample], list[Piece]]
    answers_of: Callable[[Sample], list[Answer]]
    turn_end: Callable[[Any], int]
    piecewise: bool = False


def _said(sample: Sample) -> list[tuple[str, str]]:
    """Speaker and text of each turn, a mark for every picture."""
    return [(turn.speaker, turn.text.replace(MARKER, tokens.PICTURE).strip()) for turn in sample.turns]


def _learned(sample: Sample) -> list[str]:
    return [turn.text.strip() for turn in sample.turns if turn.speaker == "assistant"]


def _llama3_pieces(sample: Sample) -> list[Piece]:
    pieces = [Piece(tokens.BEGIN, supervised=False)]
    for speaker, text in _said(sample):
        header = f"{tokens.HEADER}{speaker}{tokens.HEADER_END}\n\n"
        pieces += [
            Piece(header, supervised=False),
            Piece(f"{text}{tokens.TURN_END}", supervised=speaker == "assistant"),
        ]
    return pieces


def _llama3_answers(sample: Sample) -> list[Answer]:
    """Each answer and the end of its turn, and that end once more where a turn follows."""
    said = [f"{text}{tokens.TURN_END}" for text in _learned(sample)]
    return [*(Answer(text, more=tokens.TURN_END) for text in said[:-1]), *(Answer(text) for text in said[-1:])]


USER, ASSISTANT, LAST = "<用户>", "<AI>", "</s>"


def _minicpm_pieces(sample: Sample) -> list[Piece]:
    """Two marks for the speakers, and an end after the last message alone."""
    pieces, said = [], _said(sample)
    for place, (speaker, text) in enumerate(said):
        whole = f"{text}{LAST}" if place == len(said) - 1 else text
        pieces += [
            Piece(ASSISTANT if speaker == "assistant" else USER, supervised=False),
            Piece(whole, supervised=speaker == "assistant"),
        ]
    return pieces


def _minicpm_answers(sample: Sample) -> list[Answer]:
    """Each answer, and the end: which stands in the text after the last of them alone."""
    said = _learned(sample)
    return [*(Answer(text, more=LAST) for text in said[:-1]), *(Answer(f"{text}{LAST}") for text in said[-1:])]


OPEN, CLOSE, SYSTEM = "<|im_start|>", "<|im_end|>", "You are a helpful assistant."


def _qwen_pieces(sample: Sample) -> list[Piece]:
    """ChatML with the system sentence that Qwen 2's own template puts in front."""
    pieces = [Piece(f"{OPEN}system\n{SYSTEM}{CLOSE}\n", supervised=False)]
    for speaker, text in _said(sample):
        pieces += [
            Piece(f"{OPEN}{speaker}\n", supervised=False),
            Piece(f"{text}{CLOSE}", supervised=speaker == "assistant"),
            Piece("\n", supervised=False),
        ]
    return pieces


def _qwen_answers(sample: Sample) -> list[Answer]:
    """Each answer and its end, twice: a line end follows the last one too."""
    return [Answer(f"{text}{CLOSE}", more=CLOSE) for text in _learned(sample)]


LLAMA3 = Template("llama3", _llama3_pieces, _llama3_answers, lambda tokenizer: int(tokenizer.eot_id))
MINICPM = Template(
    "minicpm", _minicpm_pieces, _minicpm_answers, lambda tokenizer: int(tokenizer.eos_id), piecewise=True
)
QWEN = Template("qwen", _qwen_pieces, _qwen_answers, lambda tokenizer: int(tokenizer.eos_id))
