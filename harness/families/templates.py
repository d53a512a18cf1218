"""Conversation templates by name: what stands around what is said, and what of it is learned.

The names are those that trainers take (`--version`). A trainer that does not know a name goes on with another template
and says nothing; here it is refused. What a template opens with besides tokens, a sentence about who is speaking, is no
part of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from harness.data import Sample
from harness.data.sample import MARKER
from harness.families.supervision import Answer, Piece
from harness.recipe import Recipe
from harness.refusal import Refused

TEXT = "{text}"
Spoken = TypeVar("Spoken", bound="ByTemplate")


@dataclass(frozen=True)
class Template:
    """`question` stands for a user's turn, `answer` for an assistant's, `{text}` for what is said in it.

    An answer and its `end` are learned, what stands `after` the end or before each further round (`again`) is not. A
    `space` before an answer is part of its first token. `single` are those that must each be one token: a tokenizer
    that cuts them up is another model's.
    """

    question: str
    end: str
    space: str = ""
    after: str = ""
    begin: str = ""
    again: str = ""
    single: tuple[str, ...] = ()
    captions: bool = False  # of a user's turn only the pictures are shown, and there is one answer

    def pieces(self, sample: Sample) -> list[Piece]:
        """The prompt of a sample, cut where supervision begins and ends. Raises Refused for one that does not go in."""
        if self.captions and len(sample.turns) > 2:
            raise Refused(
                f"sample {sample.id}: {len(sample.turns) // 2} rounds, and the template has one caption for a picture",
                do="give samples of one round, or choose a template of conversations",
            )
        pieces = [Piece(self.begin, supervised=False)] if self.begin else []
        for number, turn in enumerate(sample.turns):
            if turn.speaker == "user":
                said = MARKER * turn.text.count(MARKER) if self.captions else turn.text
                again = self.again if number else ""
                pieces.append(Piece(again + self.question.replace(TEXT, said), supervised=False))
            else:
                pieces.append(Piece(f"{self.space}{turn.text}{self.end}", supervised=True))
                pieces += [Piece(self.after, supervised=False)] if self.after else []
        return pieces

    def answers(self, sample: Sample) -> list[Answer]:
        """What is learned of a sample, as text: each answer and its end."""
        return [Answer(f"{turn.text}{self.end}") for turn in sample.turns if turn.speaker == "assistant"]


_HEADER, _HEADER_END, _TURN_END = "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"
_IN, _OUT = "<start_of_turn>", "<end_of_turn>"
V1 = Template(f"USER: {TEXT} ASSISTANT:", space=" ", end="</s>", single=("</s>",))

TEMPLATES: dict[str, Template] = {
    # LLaVA-1.5's, and Vicuna's
    "v1": V1,
    "vicuna_v1": V1,
    # stage 1: a picture and its caption, which ends with its line
    "plain": Template(TEXT, end="\n", captions=True),
    "chatml_direct": Template(
        f"<|im_start|>user\n{TEXT}<|im_end|><|im_start|>assistant\n",
        end="<|im_end|>",
        single=("<|im_start|>", "<|im_end|>"),
    ),
    "llama_2": Template(f"[INST] {TEXT} [/INST]", space=" ", end=" </s>", again="<s>", single=("<s>", "</s>")),
    "mistral_instruct": Template(f"[INST] {TEXT} [/INST]", space=" ", end=" </s>", single=("</s>",)),
    "llama_3": Template(
        f"{_HEADER}user{_HEADER_END}\n\n{TEXT}{_TURN_END}{_HEADER}assistant{_HEADER_END}\n\n",
        begin="<|begin_of_text|>",
        end=_TURN_END,
        single=("<|begin_of_text|>", _HEADER, _HEADER_END, _TURN_END),
    ),
    "gemma": Template(f"{_IN}user\n{TEXT}{_OUT}\n{_IN}model\n", end=_OUT, after="\n", single=(_IN, _OUT)),
}


class ByTemplate:
    """The part of a family whose recipes choose a template by name: the first of `templates` unless they do."""

    spoken: str  # a field of the family: the name that was chosen, empty where none was

    @property
    def templates(self) -> tuple[str, ...]:
        """The names that the family takes: its tokenizer knows their tokens."""
        raise NotImplementedError

    def speaking(self: Spoken, recipe: Recipe) -> Spoken:
        """The family under the template that a recipe names. Raises Refused for one that it does not take."""
        name = recipe.data.template
        if name is None:
            return self
        if name not in self.templates:
            does_not = "no template has that name" if name not in TEMPLATES else "its tokenizer is not made for it"
            raise Refused(
                f"data.template {name}: {does_not}; {recipe.family} takes {', '.join(self.templates)}",
                do="name one of them",
            )
        if TEMPLATES[name].captions and "text" in recipe.data.mix:
            what = f"data.template {name} and data.mix with text: it has captions of pictures, and no questions"
            raise Refused(what, do="take text out of the mix, or choose a template of conversations")
        return replace(self, spoken=name)  # type: ignore[type-var]
