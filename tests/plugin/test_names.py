"""Names that must not collide, of suites and of the folders of runs; and what an output directory keeps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.refusal import Refused
from harness.running.disk import refuse_full_disk
from harness.running.session import MARKER, prepare_out, suite_names
from harness.running.workers import folder_name


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["suites/a.yaml", "other/b.yaml"], ["a", "b"]),
        (["x/a.yaml", "y/a.yaml", "b.yaml"], ["x/a", "y/a", "b"]),
        (["p/x/a.yaml", "q/x/a.yaml", "x/b.yaml"], ["p/x/a", "q/x/a", "b"]),
        (["/a.yaml", "/x/a.yaml"], ["a", "x/a"]),
        (["a.yaml", "x/../a.yaml"], ["a", "a"]),
    ],
)
def test_suites_of_one_file_name_are_told_apart_by_as_few_folders_as_it_takes(paths, names) -> None:
    assert list(suite_names(map(Path, paths)).values()) == names


def test_two_suites_that_differ_in_their_suffix_alone_are_refused() -> None:
    with pytest.raises(Refused, match="differs only in its suffix; rename one"):
        suite_names([Path("a.yaml"), Path("a.yml")])


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("llava/lora-qv", "llava_lora-qv"),
        ("llava/connector+llm[bf16-2.5]", "llava_connector+llm_bf16-2.5"),
        ("llava-1.5-7b", "llava-1.5-7b"),
    ],
)
def test_the_folder_of_a_recipe_is_read_as_the_recipe(name, folder) -> None:
    assert folder_name(name) == folder


def test_no_two_recipes_share_a_folder() -> None:
    names = "a/b[c] a/b_c a_b/c a/b/c a/b:c a/b[c a/b]c a[b]c a[b[c] a/b[c]] A/b[c] a/B[c] a/b a/b. a/b@c /a/b .. a/é"
    names = [*names.split(), "", "a/b c", "a" * 300, "a" * 301]
    folders = [folder_name(name) for name in names]

    assert len({folder.lower() for folder in folders}) == len(names)
    assert all(len(folder) < 200 and os.sep not in folder and folder not in ("", ".", "..") for folder in folders)


def test_a_process_that_had_no_room_is_no_failure_of_its_recipe(tmp_path, monkeypatch) -> None:
    refuse_full_disk(tmp_path, "ValueError: something else")
    for reason in ("No space left on device", "Disk quota exceeded"):
        with pytest.raises(Refused, match=f"cannot write: {reason}; free space"):
            refuse_full_disk(tmp_path, f"SafetensorError: I/O error: {reason} (os error 28)")

    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 0}))
    with pytest.raises(Refused, match="No space left on device"):
        refuse_full_disk(tmp_path, "")


def test_an_output_directory_loses_what_the_last_run_wrote_and_nothing_else(tmp_path) -> None:
    (tmp_path / MARKER).touch()
    for name in ("results.jsonl", "report.md", "report.html", "junit.xml", "journal.jsonl", "baseline.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "runs" / "a").mkdir(parents=True)

    prepare_out(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == [MARKER, "baseline.json"]
