"""What is pinned and what is refused; goldens that are missing, unreadable or unused."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from harness.golden.archive import packed, unpacked
from harness.golden.index import INDEX, MOST_BYTES, SUFFIX, is_whole, read_index, strays
from harness.golden.provenance import PACKAGE, Provenance, code_digests
from harness.recipe import Recipe
from tests.golden.conftest import SUITE, Place, as_json, edited, names_in

CONNECTOR, LORA = "pair/connector", "pair/lora"


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=one", "-c", "user.email=one@example.org"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def test_a_golden_says_where_it_comes_from(pinned: Place) -> None:
    files = unpacked(pinned.golden / pinned.entry(LORA)["file"])
    source = Provenance.model_validate_json(files["provenance.json"])

    assert source.recipe["lora"]["rank"] == 2
    assert source.saves == "adapter"
    assert source.data
    assert {"torch", "transformers", "peft", "numpy", "pillow", "regex", "filelock"} <= source.libraries.keys()
    assert source.environment["cpu_capability"]
    assert source.environment["threads"] == 1
    assert source.environment["torch_build"]
    assert (source.commit, source.dirty) == (None, False)
    assert len(source.pinned) == 10
    assert "tuning.py" in source.code
    assert any(name.startswith("families/llava/") for name in source.code)


def test_a_golden_holds_no_first_values_no_times_and_no_path_of_this_machine(pinned: Place, tmp_path) -> None:
    for name in (CONNECTOR, LORA):
        files = unpacked(pinned.golden / pinned.entry(name)["file"])
        arrays = {n for f in files if f.startswith("trace/rank-0/arrays") for n in names_in(files, f, tmp_path)}
        moved = {array for array in arrays if array.startswith("last/")}
        assert 0 < len(moved) < 20
        assert arrays - moved == {"image", "text"}
        assert "trace/measured.json" not in files
        for file, data in files.items():
            assert b"/tmp/" not in data, file
            assert str(PACKAGE).encode() not in data, file


def test_what_cannot_alter_a_run_is_no_code_of_a_golden() -> None:
    digests = code_digests(Recipe(family="llava-1.5-7b", tune="connector"))

    judging = ("checks/", "cli/", "report/", "golden/", "comparator/", "running/session.py", "verdict.py")
    assert not [name for name in digests if name.startswith(judging)]
    assert {"making/run.py", "engines/torch_loop.py", "recording/recorder.py", "running/runner.py"} <= digests.keys()
    # The making side by the import rules, which are not here once it is installed.
    ruled = (PACKAGE.parent / "pyproject.toml").read_text().split('id = "making"')[1].split("forbidden_modules")[0]
    for line in ruled.splitlines():
        if line.strip().startswith('"harness.'):
            part = line.strip().strip('",').removeprefix("harness.").replace(".", "/")
            assert any(name == f"{part}.py" or name.startswith(f"{part}/") for name in digests), part


def test_the_archive_of_the_same_files_is_the_same(tmp_path) -> None:
    files = {"b/two": b"2" * 1000, "a": b""}
    path = tmp_path / "x.tar.xz"
    path.write_bytes(packed(files))

    assert packed(dict(reversed(files.items()))) == path.read_bytes()
    assert unpacked(path) == files


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside"])
def test_nothing_is_taken_out_of_an_archive_but_plain_files_of_its_own(pinned: Place, name: str) -> None:
    pinned.alter(LORA, lambda files: files.update({name: b"x"}))
    found = pinned.found(LORA)

    assert found["status"] == "unreadable"
    assert f"holds {name!r}, which is no plain file" in found["reason"]


def test_a_link_is_no_plain_file(tmp_path) -> None:
    import lzma

    from harness.refusal import Refused

    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    (tmp_path / "x").write_bytes(lzma.compress(tar.getvalue()))
    with pytest.raises(Refused, match="'link', which is no plain file"):
        unpacked(tmp_path / "x")


def test_goldens_that_are_missing_unreadable_or_unused_fail_by_name(pinned: Place) -> None:
    archive = pinned.golden / pinned.entry(LORA)["file"]
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    (pinned.golden / pinned.entry(CONNECTOR)["file"]).unlink()
    (pinned.golden / f"somebodys{SUFFIX}").write_bytes(whole)
    ran = pinned.verify()

    assert (ran.status, ran.err) == (1, "")
    assert f"FAILED  {LORA}: unreadable: {archive}: is damaged: " in ran.out
    assert f"FAILED  {CONNECTOR}: missing: " in ran.out
    assert f"FAILED  somebodys{SUFFIX}: unused: " in ran.out
    assert ran.out.splitlines()[-1].startswith("3 goldens: 1 missing, 1 unreadable, 1 unused    ")
    said = pinned.call("golden", "report", "--golden", pinned.golden)
    assert said.status == 1
    assert [line.split()[-1] for line in said.out.splitlines()[1:3]] == ["missing", "unreadable"]
    assert "unused: somebodys" in said.out


@pytest.mark.parametrize("at", [0.0, 0.1, 0.9])
def test_another_archive_in_its_place_is_unreadable(pinned: Place, at: float) -> None:
    """Wherever a byte differs, and also where the other is an archive by itself."""
    archive = pinned.golden / pinned.entry(LORA)["file"]
    data = bytearray(archive.read_bytes())
    data[int(at * len(data))] ^= 1
    archive.write_bytes(data)
    assert pinned.found(LORA)["status"] == "unreadable"
    archive.write_bytes(packed({"provenance.json": b"{}"}))
    assert "is not the archive that was pinned" in pinned.found(LORA)["reason"]


@pytest.mark.parametrize(
    "file", ["provenance.json", "trace/header.json", "reload/request.json", "reload/inputs.safetensors"]
)
def test_a_golden_that_lacks_a_part_fails_by_name(pinned: Place, file: str) -> None:
    pinned.alter(LORA, lambda files: files.pop(file))

    found = pinned.found(LORA)

    assert found["status"] == "unreadable"
    assert f"holds no {file}" in found["reason"]


def test_a_golden_that_no_recipe_uses_fails_and_is_dropped_when_all_is_pinned_again(pinned: Place) -> None:
    suite = pinned.folder / "pair.yaml"
    suite.write_text(suite.read_text().replace("connector: {", "renamed: {"))
    ran = pinned.verify()
    assert ran.status == 1
    assert f"FAILED  {CONNECTOR}: unused: " in ran.out
    assert "pair.yaml has no such recipe" in ran.out
    ran = pinned.pin()
    assert ran.status == 0
    assert f"{CONNECTOR}    dropped, for its recipe is gone" in ran.out
    assert list(json.loads((pinned.golden / INDEX).read_text())["goldens"]) == [LORA]
    assert len(list(pinned.golden.glob(f"*{SUFFIX}"))) == 1
    assert pinned.verify().status == 0


def test_a_tree_that_is_not_as_committed_is_refused_unless_asked(tmp_path, call) -> None:
    suite = tmp_path / "suites" / "pair.yaml"
    suite.parent.mkdir()
    suite.write_text(SUITE)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    place = Place(tmp_path, call)
    assert place.pin(suite, "--recipe", "lora").status == 0
    assert place.entry(LORA)["dirty"] is False
    assert len(place.entry(LORA)["commit"]) == 40
    assert place.pin().status == 0, "the goldens themselves make no tree dirty"

    (tmp_path / "suites" / "new.py").write_text("")
    before = (place.golden / INDEX).read_bytes()
    ran = place.pin()
    assert (ran.status, ran.out) == (2, "")
    assert "its tree differs from commit " in ran.err
    assert "suites/new.py; commit first, or pin with --dirty" in ran.err
    assert (place.golden / INDEX).read_bytes() == before
    assert place.pin("--dirty").status == 0
    assert place.entry(LORA)["dirty"] is True
    assert " dirty " in call("golden", "report", "--golden", place.golden).out


def test_a_run_that_fails_is_not_pinned_and_neither_is_any_other(pinned: Place) -> None:
    suite = pinned.folder / "pair.yaml"
    suite.write_text(suite.read_text().replace("lora: {lora", "lora: {limits: {seconds: 0.01}, lora"))
    before = {path.name: path.read_bytes() for path in pinned.golden.iterdir()}
    ran = pinned.pin()

    assert ran.status == 1
    assert f"FAILED  {LORA}: killed after its limit" in ran.out
    assert "Nothing was pinned" in ran.out
    assert {path.name: path.read_bytes() for path in pinned.golden.iterdir()} == before


def test_what_cannot_be_pinned_is_refused_in_one_line(pinned: Place, tmp_path) -> None:
    nothing = tmp_path / "nothing.yaml"
    nothing.write_text(SUITE.replace("steps: 2", "steps: 2, save: {what: nothing}"))
    twin = tmp_path / "elsewhere" / "pair.yaml"
    twin.parent.mkdir()
    twin.write_text(SUITE)
    for arguments, said in (
        ((nothing,), "saves nothing"),
        ((twin, "--dirty"), "a golden of this name is of ../pair.yaml"),
        ((pinned.folder / "pair.yaml", "--recipe", "lorra"), "did you mean lora?"),
        (("--recipe", "pair/lorra"), "did you mean pair/lora?"),
    ):
        ran = pinned.pin(*arguments)
        assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1), arguments
        assert said in ran.err


def test_a_folder_without_goldens_and_a_damaged_index_are_refused(pinned: Place, tmp_path) -> None:
    ran = pinned.call("golden", "verify", "--golden", tmp_path / "none")
    assert (ran.status, ran.out) == (2, "")
    assert "holds no goldens; pin some with harness golden pin" in ran.err
    for text in (
        "{",
        "[]",
        '{"format": 1}',
        '{"format": 1, "goldens": {"a": {"file": "x"}}}',
        '{"format": 9, "goldens": {}}',
    ):
        (pinned.golden / INDEX).write_text(text)
        for command in ("verify", "report", "pin"):
            ran = pinned.call("golden", command, "--golden", pinned.golden)
            assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1), (text, command)


def test_the_index_names_no_file_elsewhere(pinned: Place) -> None:
    as_text = (pinned.golden / INDEX).read_text()
    (pinned.golden / INDEX).write_text(as_text.replace(pinned.entry(LORA)["file"], "../other.tar.xz"))

    assert "names a file elsewhere" in pinned.verify().err


def test_report_as_data(pinned: Place) -> None:
    ran = pinned.call("golden", "report", "--golden", pinned.golden, "--json")
    found = json.loads(ran.out)

    assert ran.status == 0
    assert [(one["recipe"], one["saves"], one["state"]) for one in found["goldens"]] == [
        (CONNECTOR, "full", "whole"),
        (LORA, "adapter", "whole"),
    ]


def test_the_helpers_change_what_they_say(pinned: Place) -> None:
    files = unpacked(pinned.golden / pinned.entry(LORA)["file"])
    before = dict(files)
    as_json(files, "provenance.json", lambda value: value.update(data="x"))
    edited(files, "reload/inputs.safetensors", "text/a/input_ids", lambda v: v.__setitem__(1, 9))

    assert {name for name in files if files[name] != before[name]} == {"provenance.json", "reload/inputs.safetensors"}


def test_the_shipped_goldens_are_whole_small_and_of_committed_trees() -> None:
    shipped = PACKAGE.parent / "golden"
    goldens = read_index(shipped)

    assert {entry.saves for entry in goldens.values()} >= {"full", "adapter", "projector", "native"}
    assert all(is_whole(shipped, entry) and entry.commit and not entry.dirty for entry in goldens.values())
    assert strays(shipped, goldens.values()) == ([], [])
    assert sum(path.stat().st_size for path in shipped.rglob("*") if path.is_file()) < MOST_BYTES
