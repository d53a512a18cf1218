"""How each version of Mini-Gemini writes a conversation, without the sentences that open it."""

from __future__ import annotations

from dataclasses import dataclass

from harness.data import Sample
from harness.families.mini_gemini.tokens import CHATML, GEMMA, LLAMA, LLAMA3, Style, Tokens
from harness.families.supervision import Answer, Piece


@dataclass(frozen=True)
class Template:
    """What stands around the turns of one version, and the tokens of its language model.

    An answer is learned from `said` on, with the end of its turn; `after` follows that and is not learned.
    """

    version: str
    tokens: Tokens
    user: str
    answer: str
    said: str
    end: str
    after: str = ""

    def pieces(self, sample: Sample) -> list[Piece]:
        """The text of a sample, cut where supervision begins and ends."""
        pieces: list[Piece] = []
        for turn in sample.turns:
            if turn.speaker == "user":
                pieces.append(Piece(f"{self.user}{turn.text}{self.answer}", supervised=False))
            else:
                pieces.append(Piece(f"{self.said}{turn.text}{self.end}", supervised=True))
                pieces += [Piece(self.after, supervised=False)] if self.after else []
        return pieces

    def answers(self, sample: Sample) -> list[Answer]:
        """What is learned, as text: each answer and the end of its turn."""
        return [Answer(f"{turn.text}{self.end}") for turn in sample.turns if turn.speaker == "assistant"]

    @property
    def chat(self) -> str:
        """The same for tokenizers."""
        image = "{% for part in message['content'] if part['type'] == 'image' %}<image>\n{% endfor %}"
        text = "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
        content = (
            f"{{% if message['content'] is string %}}{{{{ message['content'] }}}}{{% else %}}{image}{text}{{% endif %}}"
        )
        return (
            "{% for message in messages %}"
            f"{{% if message['role'] == 'user' %}}{self.user}{content}{self.answer}"
            f"{{% else %}}{self.said}{content}{self.end}{self.after}{{% endif %}}"
            "{% endfor %}"
        )


# What else a version's tokens can write, by the style of the tokenizer.
ALSO_TAKEN: dict[Style, tuple[str, ...]] = {
    "llama": ("v1", "vicuna_v1", "plain", "llama_2", "mistral_instruct"),
    "chatml": ("plain",),
    "gemma": ("plain",),
    "llama3": ("plain",),
}
VICUNA = Template("v1", LLAMA, "USER: ", " ASSISTANT:", " ", "</s>")
MISTRAL = Template("mistral_instruct", LLAMA, "[INST] ", " [/INST]", " ", "</s>")
CHATML_DIRECT = Template(
    "chatml_direct", CHATML, "<|im_start|>user\n", "<|im_end|><|im_start|>assistant\n", "", "<|im_end|>"
)
GEMMA_TURNS = Template(
    "gemma", GEMMA, "<start_of_turn>user\n", "<end_of_turn>\n<start_of_turn>model\n", "", "<end_of_turn>", "\n"
)
LLAMA_3 = Template(
    "llama_3",
    LLAMA3,
    "<|start_header_id|>user<|end_header_id|>\n\n",
    "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "",
    "<|eot_id|>",
)
