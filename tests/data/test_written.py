"""The samples in the formats of trainers: complete, the same each time, and the same conversations in all of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from harness.data import read_samples
from harness.data.conversations import CONVERSATIONS
from harness.data.written import FORMATS, as_message_parts, as_sharegpt, write_samples
from harness.refusal import Refused

if TYPE_CHECKING:
    from pathlib import Path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_is_the_same_bytes_each_time(form: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_samples(form, tmp_path / name)

    assert contents(tmp_path / "one") == contents(tmp_path / "two") != {}


@pytest.mark.parametrize("form", [form for form, written in FORMATS.items() if written.pictures])
def test_every_picture_that_is_named_is_there_and_no_other(form: str, tmp_path: Path) -> None:
    write_samples(form, tmp_path, ["image"], 3)

    pictures = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")}
    (text,) = [path.read_text() for path in (*tmp_path.glob("data.json"), *tmp_path.glob("metadata.jsonl"))]
    assert pictures == {"images/shapes.png", "images/bars.png", "images/house.png"}
    assert all(picture in text for picture in pictures)
    for picture in pictures:
        Image.open(tmp_path / picture).verify()


@pytest.mark.parametrize("form", ["llava", "minicpm-v"])
def test_what_llava_and_minicpm_read_is_read_back(form: str, tmp_path: Path) -> None:
    assert write_samples(form, tmp_path) == len(CONVERSATIONS)

    read = read_samples(tmp_path / "data.json")
    assert [(one.id, one.turns, one.kind) for one in read] == [(one.id, one.turns, one.kind) for one in CONVERSATIONS]


def test_messages_name_their_pictures_where_they_stand_in_the_text(tmp_path: Path) -> None:
    write_samples("messages", tmp_path)

    rows = lines(tmp_path / "metadata.jsonl")
    assert all(set(row) == {"images_file_names", "messages"} for row in rows)  # which load_dataset makes images of
    parts = [part for row in rows for message in row["messages"] for part in message["content"]]
    assert all(set(part) == {"type", "text"} for part in parts)  # one kind of row: a table's columns
    for row, sample in zip(rows, CONVERSATIONS, strict=True):
        shown = [part for message in row["messages"] for part in message["content"] if part["type"] == "image"]
        assert len(shown) == len(row["images_file_names"]) == len(sample.images)


def test_a_picture_between_two_texts_stays_between_them() -> None:
    (sample,) = [one for one in CONVERSATIONS if one.id == "shapes-and-die"]

    parts = as_message_parts(sample)["messages"][0]["content"]

    assert [part["text"] or part["type"] for part in parts] == [
        "First: ",
        "image",
        "Second: ",
        "image",
        "Are there more shapes in the first or spots in the second?",
    ]


def test_messages_without_a_picture_have_texts_for_contents(tmp_path: Path) -> None:
    write_samples("messages", tmp_path, ["text"], 2)

    assert lines(tmp_path / "train.jsonl")[0] == {
        "messages": [
            {"role": "user", "content": "What is seven plus five?"},
            {"role": "assistant", "content": "Twelve."},
        ]
    }


def test_llama_factory_finds_the_file_and_its_columns_by_name(tmp_path: Path) -> None:
    write_samples("llama-factory", tmp_path)

    about = json.loads((tmp_path / "dataset_info.json").read_text())["harness"]
    rows = json.loads((tmp_path / about["file_name"]).read_text(encoding="utf-8"))
    assert all(set(row) == set(about["columns"].values()) for row in rows)
    assert {turn[about["tags"]["role_tag"]] for row in rows for turn in row["messages"]} == {"user", "assistant"}
    assert rows == [as_sharegpt(sample) for sample in CONVERSATIONS]
    marked = [sum(turn["content"].count("<image>") for turn in row["messages"]) for row in rows]
    assert marked == [len(row["images"]) for row in rows]  # or its reader refuses the sample


def test_minimind_has_text_alone_for_fine_tuning_and_for_pre_training(tmp_path: Path) -> None:
    write_samples("minimind", tmp_path, count=6)

    turns = lines(tmp_path / "sft.jsonl")
    assert len(turns) == 6
    assert turns[0]["conversations"][1] == {"role": "assistant", "content": "Twelve."}
    assert turns[5] == turns[0]  # there are five: they go round
    assert lines(tmp_path / "pretrain.jsonl")[0] == {"text": "What is seven plus five? Twelve."}
    assert not list(tmp_path.rglob("*.png"))


def test_pictures_are_refused_where_the_format_has_none(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no sample of kind image can be written in the format minimind"):
        write_samples("minimind", tmp_path, ["image"])
