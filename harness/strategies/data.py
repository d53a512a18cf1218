"""What is seen: kinds of samples in batches, all before the first step or one by one, once or again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from harness.strategies.families import FamilyFacts

Settings = dict[str, Any]
CAPTIONS = "plain"  # a template for data of one's own: what is shipped are conversations
KINDS = ("image", "blank", "several", "text")
SEEING = {"vision", "vision_aux", "connector"}


@st.composite
def data(draw: DrawFn, facts: FamilyFacts, processes: int = 1, engine: str = "torch") -> Settings:
    """A family that mixes no text into a batch with pictures has one or the other. Processes under DeepSpeed that use
    other parts of a model than each other reach other exchanges, and wait for ever."""
    if not facts.sees:
        mix = ["text"]
    elif facts.mixes and not (engine == "deepspeed" and processes > 1):
        mix = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4, unique=True))
    else:
        mix = draw(st.lists(st.sampled_from(KINDS[:3]), min_size=1, max_size=3, unique=True))
    size = draw(
        st.sampled_from([2, 3] if facts.experts else [2, 1, 3])
    )  # fewer samples leave an expert without a token
    chosen: Settings = {"mix": mix, "batch_size": size, "max_length": draw(st.sampled_from([2048, 1536]))}
    if draw(st.booleans()):
        chosen["lazy"] = True
    if limited := draw(
        st.sampled_from([0, 0, *([] if facts.experts else [2]), 3])
    ):  # so many batches, and then they begin anew
        short = size - 1 if processes == 1 else 0  # of one process, the last may be smaller than the others
        chosen["samples"] = limited * size * processes - draw(st.sampled_from([0, short]))
    templates = [one for one in facts.templates if one != CAPTIONS]
    if template := draw(st.sampled_from([None, None, *templates])):
        chosen["template"] = template
    return chosen


def told_apart(precision: str, chosen: Settings) -> Settings:
    """The same with a picture beside blank ones, where weights in 16 bits train: of what is all alike, attention gets
    gradients of nothing but rounding."""
    alike = only_blank(chosen) and precision.startswith("pure-")
    return {**chosen, "mix": ["image", *chosen["mix"]]} if alike else chosen


def only_blank(chosen: Settings) -> bool:
    """Whether all pictures are blank ones."""
    return set(chosen["mix"]) <= {"blank", "text"} and "blank" in chosen["mix"]


def seen_by(trained: set[str], chosen: Settings) -> Settings:
    """The same with a picture in every sample, where nothing trains but what sees pictures."""
    if not trained or not trained <= SEEING:
        return chosen
    return {**chosen, "mix": [kind for kind in chosen["mix"] if kind != "text"] or ["image"]}
