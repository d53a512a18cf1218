"""Reading conversations: both formats, in order, and no broken sample gets through."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageFile

from harness.data import SHIPPED, Sample, Turn, read_samples
from harness.data.draw import write_json
from harness.data.sample import MARKER
from harness.refusal import Refused

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = SHIPPED.parent / "images"
MISSING = object()


def llava(**changes: Any) -> dict[str, Any]:
    """A good LLaVA entry about a.png, with fields replaced or, by MISSING, left out."""
    asked = {"from": "human", "value": "<image>\nWhat is it?"}
    entry = {
        "id": "broken-one",
        "image": "a.png",
        "conversations": [asked, {"from": "gpt", "value": "Paint."}],
    }
    return {key: value for key, value in {**entry, **changes}.items() if value is not MISSING}


def minicpm(**changes: Any) -> dict[str, Any]:
    """The same in MiniCPM-V's format."""
    asked = {"role": "user", "content": "What is it?"}
    answer = {"role": "assistant", "content": "Paint."}
    entry = {"id": "broken-one", "image": "a.png", "conversations": [asked, answer]}
    return {key: value for key, value in {**entry, **changes}.items() if value is not MISSING}


def said(*texts: str, speakers: str = "human gpt human gpt") -> list[dict[str, str]]:
    """LLaVA turns with these texts."""
    return [{"from": name, "value": text} for name, text in zip(speakers.split(), texts, strict=False)]


def spoken(*texts: str) -> list[dict[str, str]]:
    """MiniCPM-V turns with these texts."""
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with two pictures, a blank one, and files that are no pictures."""
    shutil.copyfile(IMAGES / "shapes.png", tmp_path / "a.png")
    shutil.copyfile(IMAGES / "die.png", tmp_path / "b.png")
    Image.new("RGB", (8, 8), "white").save(tmp_path / "blank.png")
    whole = (IMAGES / "house.png").read_bytes()
    (tmp_path / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "corrupt.png").write_bytes(whole[:60] + b"\0\0\0\0" + whole[64:])
    (tmp_path / "note.png").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def read(folder: Path, *entries: Any) -> tuple[Sample, ...]:
    write_json(folder / "samples.json", entries)
    return read_samples(folder / "samples.json")


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "missing image": (llava(image="gone.png"), "does not exist"),
    "missing image, MiniCPM-V": (minicpm(image="gone.png"), "does not exist"),
    "truncated image": (llava(image="truncated.png"), "cannot be read"),
    "corrupt image": (llava(image="corrupt.png"), "cannot be read"),
    "text file as image": (llava(image="note.png"), "cannot be read"),
    "empty file as image": (llava(image="empty.png"), "cannot be read"),
    "directory as image": (llava(image="folder.png"), "cannot be read"),
    "NUL in image path": (llava(image="a\0.png"), "cannot be read"),
    "second of two images missing": (
        llava(image=["a.png", "gone.png"], conversations=said("<image><image>", "Two.")),
        "does not exist",
    ),
    "image is empty text, LLaVA": (llava(image=""), "no file name"),
    "image is null": (llava(image=None), "no file name"),
    "image is a number": (minicpm(image=7), "no file name"),
    "image is a list, MiniCPM-V": (minicpm(image=["a.png"]), "no file name"),
    "image list holds null": (llava(image=["a.png", None]), "no file name"),
    "image without marker": (llava(conversations=said("What is it?", "Paint.")), "markers: 0, images: 1"),
    "marker without image": (llava(image=MISSING), "markers: 1, images: 0"),
    "marker with empty image, MiniCPM-V": (
        minicpm(image="", conversations=spoken("<image>\nWhat?", "Paint.")),
        "markers: 1, images: 0",
    ),
    "two markers, one image": (llava(conversations=said("<image><image>", "Two.")), "markers: 2, images: 1"),
    "one marker, two images": (llava(image=["a.png", "b.png"]), "markers: 1, images: 2"),
    "only marker in a later turn, MiniCPM-V": (
        minicpm(conversations=spoken("Hello.", "Hello.", "<image>", "Paint.")),
        "markers: 2, images: 1",
    ),
    "marker in an answer": (llava(conversations=said("What is it?", "<image>")), "answer holds <image>"),
    "numbered marker without its image": (
        minicpm(image={"<image_00>": "a.png"}, conversations=spoken("<image_00><image_01>", "Two.")),
        "numbered markers",
    ),
    "numbered image without its marker": (
        minicpm(image={"<image_00>": "a.png", "<image_01>": "b.png"}, conversations=spoken("<image_00>", "One.")),
        "numbered markers",
    ),
    "numbered marker used twice": (
        minicpm(image={"<image_00>": "a.png"}, conversations=spoken("<image_00><image_00>", "One.")),
        "numbered markers",
    ),
    "numbered marker with a single image": (
        minicpm(conversations=spoken("<image_00>\nWhat?", "Paint.")),
        "numbered markers",
    ),
    "numbered and plain markers": (
        minicpm(image={"<image_00>": "a.png"}, conversations=spoken("<image_00><image>", "Two.")),
        "markers: 2, images: 1",
    ),
    "numbered image is null": (
        minicpm(image={"<image_00>": None}, conversations=spoken("<image_00>", "One.")),
        "no file name",
    ),
    "unknown speaker": (
        llava(conversations=said("<image>", "P.", speakers="human bot")),
        "unknown speaker 'bot'",
    ),
    "system speaker": (llava(conversations=said("Obey.", speakers="system")), "unknown speaker 'system'"),
    "LLaVA speaker in MiniCPM-V": (
        minicpm(conversations=[{"role": "human", "content": "What?"}]),
        "unknown speaker 'human'",
    ),
    "begins with the assistant": (
        llava(conversations=said("P.", speakers="gpt")),
        "turn 0 is the assistant's",
    ),
    "user twice": (
        llava(conversations=said("<image>", "Well?", speakers="human human")),
        "turn 1 is the user's",
    ),
    "assistant twice": (
        llava(conversations=said("<image>", "Paint.", "Yes.", speakers="human gpt gpt")),
        "turn 2 is the assistant's",
    ),
    "no assistant turn": (llava(conversations=said("<image>")), "no assistant turn"),
    "last question unanswered": (
        llava(conversations=said("<image>", "Paint.", "Sure?")),
        "no assistant turn",
    ),
    "empty answer": (llava(conversations=said("<image>", "")), "answer is empty"),
    "answer of spaces": (llava(conversations=said("<image>", " \n\t")), "answer is empty"),
    "no conversations": (llava(conversations=MISSING), "'conversations' is missing"),
    "conversations empty": (llava(conversations=[]), "conversations is empty"),
    "conversations is text": (llava(conversations="Hello."), "not a list of objects"),
    "turn is text": (llava(conversations=["Hello."]), "not a list of objects"),
    "turn without from": (llava(conversations=[{"value": "<image>"}]), "'from' is missing"),
    "turn without value": (llava(conversations=[{"from": "human"}]), "'value' is missing"),
    "turn without content": (minicpm(conversations=[{"role": "user"}]), "'content' is missing"),
    "formats mixed in one sample": (
        llava(conversations=[*said("<image>"), *spoken("", "Paint.")[1:]]),
        "'from' is missing",
    ),
    "value is a number": (llava(conversations=[{"from": "human", "value": 3}]), "value 3 is no text"),
    "speaker is a list": (llava(conversations=[{"from": ["human"], "value": "x"}]), "is no text"),
}

NAMELESS: dict[str, tuple[Any, str]] = {
    "sample is text": ("Hello.", "is not an object"),
    "id missing": (llava(id=MISSING), "'id' is missing"),
    "id null": (llava(id=None), "id None is no name"),
    "id empty": (llava(id=""), "id '' is no name"),
    "id true": (llava(id=True), "id True is no name"),
    "id a list": (llava(id=["a"]), "is no name"),
}

UNREADABLE: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"{'id': 1}", "is not JSON"),
    "JSON Lines": (b'{"id": "a"}\n{"id": "b"}\n', "is not JSON"),
    "empty file": (b"", "is not JSON"),
    "not UTF-8": (b'["\xff"]', "is not JSON"),
    "nested without end": (b"[" * 100_000, "is not JSON"),
    "an object": (b'{"id": "a"}', "is not a list"),
    "empty list": (b"[]", "holds no samples"),
}


@pytest.mark.parametrize(("entry", "what"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_sample_is_refused_by_name(folder: Path, entry: dict[str, Any], what: str) -> None:
    with pytest.raises(Refused) as refused:
        read(folder, minicpm(id="good"), entry)
    message = str(refused.value)
    assert what in message
    assert message.startswith(f"{folder / 'samples.json'}[1] (id 'broken-one'): ")
    assert len(message.splitlines()) == 1
    assert refused.value.do


@pytest.mark.parametrize(("entry", "what"), NAMELESS.values(), ids=NAMELESS.keys())
def test_a_sample_without_id_is_refused_by_index(folder: Path, entry: Any, what: str) -> None:
    with pytest.raises(Refused) as refused:
        read(folder, minicpm(id="good"), entry)
    message = str(refused.value)
    assert what in message
    assert message.startswith(f"{folder / 'samples.json'}[1] (no id): ")
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(("content", "what"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_unreadable_file_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "samples.json").write_bytes(content)
    with pytest.raises(Refused) as refused:
        read_samples(tmp_path / "samples.json")
    message = str(refused.value)
    assert message.startswith(f"{tmp_path / 'samples.json'}: {what}")
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("name", ["absent.json", "."])
def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        read_samples(tmp_path / name)


@pytest.mark.parametrize("ids", [("twin", "twin"), (7, "7")], ids=["same", "number and text"])
def test_a_duplicated_id_is_refused(folder: Path, ids: tuple[Any, Any]) -> None:
    with pytest.raises(Refused) as refused:
        read(folder, llava(id=ids[0]), llava(id="other"), minicpm(id=ids[1]))
    message = str(refused.value)
    assert message.startswith(f"{folder / 'samples.json'}[2] (id '{ids[1]}'): sample 0 has the same id")
    assert len(message.splitlines()) == 1


def test_the_message_can_be_printed_whatever_the_file_says(folder: Path) -> None:
    lone_half = "\ud83d"
    entry = minicpm(id=f"a\n{lone_half}", image={f"<image_00>{lone_half}": "a.png"})
    (folder / "samples.json").write_text(json.dumps([entry]))
    with pytest.raises(Refused) as refused:
        read_samples(folder / "samples.json")
    assert str(refused.value).encode("utf-8")
    assert len(str(refused.value).splitlines()) == 1


def test_half_a_character_is_refused(folder: Path) -> None:
    entry = llava(conversations=said("<image>", "Paint \ud83d."))
    (folder / "samples.json").write_text(json.dumps([entry]))
    with pytest.raises(Refused, match="turn 1 holds half a character"):
        read_samples(folder / "samples.json")


def test_a_truncated_image_is_refused_though_a_script_allows_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(Refused, match="cannot be read"):
        read(folder, llava(image="truncated.png"))
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_a_llava_sample(folder: Path) -> None:
    (sample,) = read(folder, llava(id=12))
    turns = (Turn("user", "<image>\nWhat is it?"), Turn("assistant", "Paint."))
    assert sample == Sample("12", turns, (folder / "a.png",))
    assert sample.kind == "image"


def test_minicpm_puts_a_single_image_first(folder: Path) -> None:
    (sample,) = read(folder, minicpm())
    assert sample.turns[0].text == "<image>\nWhat is it?"


def test_minicpm_leaves_a_marker_where_it_is(folder: Path) -> None:
    (sample,) = read(folder, minicpm(conversations=spoken("What is <image>?", "Paint.")))
    assert sample.turns[0].text == "What is <image>?"


def test_minicpm_images_come_in_the_order_of_their_markers(folder: Path) -> None:
    image = {"<image_00>": "a.png", "<image_01>": "b.png"}
    turns = spoken("First <image_01>.", "A die.", "Then <image_00>.", "Shapes.")
    (sample,) = read(folder, minicpm(image=image, conversations=turns))
    assert sample.images == (folder / "b.png", folder / "a.png")
    assert [turn.text for turn in sample.turns[::2]] == ["First <image>.", "Then <image>."]
    assert sample.kind == "several"


@pytest.mark.parametrize(
    "entry",
    [
        minicpm(image=""),
        minicpm(image=MISSING),
        minicpm(image={}),
        llava(image=MISSING, conversations=said("What?", "This.")),
        llava(image=[], conversations=said("What?", "This.")),
    ],
    ids=["MiniCPM-V, empty", "MiniCPM-V, absent", "MiniCPM-V, no files", "LLaVA, absent", "LLaVA, no files"],
)
def test_a_sample_of_text_only(folder: Path, entry: dict[str, Any]) -> None:
    (sample,) = read(folder, entry)
    assert (sample.kind, sample.images) == ("text", ())
    assert not sample.turns[0].text.startswith(MARKER)


def test_an_image_may_lie_anywhere(folder: Path) -> None:
    (folder / "below").mkdir()
    write_json(folder / "below" / "x.json", [llava(id="up", image="../a.png"), llava(image=str(folder / "a.png"))])
    up, absolute = read_samples(folder / "below" / "x.json")
    assert up.images[0].samefile(absolute.images[0])


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "I;16", "CMYK"])
def test_blank_is_seen_in_every_mode(folder: Path, mode: str) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    Image.new(mode, (9, 5)).save(folder / f"x.{suffix}")
    (sample,) = read(folder, llava(image=f"x.{suffix}"))
    assert sample.kind == "blank"


def test_one_other_pixel_is_not_blank(folder: Path) -> None:
    image = Image.new("RGB", (9, 5), "white")
    image.putpixel((8, 4), (255, 255, 254))
    image.save(folder / "x.png")
    (sample,) = read(folder, llava(image="x.png"))
    assert sample.kind == "image"


def test_several_blank_images_are_several(folder: Path) -> None:
    (sample,) = read(folder, llava(image=["blank.png"] * 2, conversations=said("<image><image>", "White.")))
    assert sample.kind == "several"


def test_a_byte_order_mark_does_no_harm(folder: Path) -> None:
    (folder / "samples.json").write_text(json.dumps([llava()]), encoding="utf-8-sig")
    assert read_samples(folder / "samples.json")[0].id == "broken-one"
