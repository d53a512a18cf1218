"""A sample that cannot be encoded as it stands is refused by its name; none is mended, cut or exchanged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import ImageFile

from harness.data import SHIPPED, Sample, Turn
from harness.refusal import Refused

HOUSE = SHIPPED.parent / "images" / "house.png"


def about(question: str, *images: Path, answer: str = "A house.") -> Sample:
    return Sample("broken-one", (Turn("user", question), Turn("assistant", answer)), images)


def spoken_by(*speakers: Any) -> Sample:
    return Sample("broken-one", tuple(Turn(speaker, "Well.") for speaker in speakers), ())


@pytest.fixture
def refusal(llava: Any, loaded: Any) -> Any:
    """Encode a sample that must be refused in one line which begins with its name."""

    def encoded(sample: Sample, max_length: int = 2048) -> str:
        with pytest.raises(Refused) as refused:
            llava.encode(sample, loaded.processor, max_length)
        assert str(refused.value).startswith("sample broken-one: ")
        assert refused.value.do
        return refused.value.what

    return encoded


@pytest.mark.parametrize(
    ("sample", "what"),
    [
        pytest.param(about("<image>\nWhat?", Path("gone.png")), "gone.png' does not exist", id="image file is gone"),
        pytest.param(about("What?", HOUSE), "markers: 0, images: 1", id="image without marker"),
        pytest.param(about("<image>\nWhat?"), "markers: 1, images: 0", id="marker without image"),
        pytest.param(about("<image><image>", HOUSE), "markers: 2, images: 1", id="two markers, one image"),
        pytest.param(about("<image>", HOUSE, HOUSE), "markers: 1, images: 2", id="one marker, two images"),
        pytest.param(about("What?", HOUSE, answer="<image>"), "answer holds <image>", id="marker in an answer"),
        pytest.param(spoken_by("user", "system", "assistant"), "turn 1 is the system's", id="unknown speaker"),
        pytest.param(about("What?", answer="A \ud83d."), "half a character", id="half a character"),
        pytest.param(about("What?", answer=" "), "answer is empty", id="nothing answered"),
        pytest.param(spoken_by("user"), "no assistant turn", id="nothing to learn"),
    ],
)
def test_it_is_refused_by_its_name(refusal: Any, sample: Sample, what: str) -> None:
    assert what in refusal(sample)


def test_a_truncated_image_is_refused_though_a_script_allows_them(
    refusal: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = HOUSE.read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])

    assert "cannot be read" in refusal(about("<image>", tmp_path / "cut.png"))
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert "cannot be read" in refusal(about("<image>", tmp_path / "cut.png"))


def test_a_sample_that_is_too_long_is_refused_and_one_that_just_fits_is_whole(
    refusal: Any, llava: Any, loaded: Any, of_each_kind: dict[str, Sample]
) -> None:
    sample = about("<image>", HOUSE)
    length = len(llava.encode(sample, loaded.processor, 2048)["input_ids"])

    assert f"{length} tokens exceed max_length {length - 1}" in refusal(sample, length - 1)
    assert len(llava.encode(sample, loaded.processor, length)["input_ids"]) == length
