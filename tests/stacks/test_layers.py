"""Layers are resolved against what is installed, built whole or not at all, and built once."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.refusal import Refused
from harness.stacks import Layers
from harness.stacks.below import installed
from harness.stacks.cache import VARIABLE, cache_folder
from harness.stacks.file import AskedStack
from harness.stacks.layers import WHOLE
from harness.stacks.processes import Stopped
from harness.stacks.resolution import packages_of, said
from tests.stacks.conftest import Shelf, asked

OLD = AskedStack(name="old", versions={})


def value_under(environment: dict[str, str], code: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return ran.stdout.strip()


def test_a_layer_holds_what_differs_and_the_rest_comes_from_below(shelf: Shelf) -> None:
    shelf.wheel("tiny-lib", "1.0", ("tiny-need>=2", "packaging"), tiny_lib="import tiny_need")
    shelf.wheel("tiny-need", "2.1", tiny_need="word = 'below it'")
    made = shelf.layers.one(asked(tiny_lib="1.0"))

    assert made.folder is not None
    assert {path.name for path in made.folder.glob("*.py")} == {"tiny_lib.py", "tiny_need.py"}
    assert not (made.folder / "packaging").exists()
    code = "import tiny_lib, packaging, harness; print(tiny_lib.tiny_need.word, packaging.__file__)"
    word, _, place = value_under(made.environment, code).rpartition(" ")
    assert word == "below it"
    assert not Path(place).is_relative_to(made.folder)


def test_it_hides_the_installed_version_and_says_which_is_in_force(shelf: Shelf) -> None:
    shelf.wheel("safetensors", "98.0", safetensors="word = 'hidden'")
    made = shelf.layers.one(asked(safetensors="98.0"))

    assert made.versions == {**made.versions, "safetensors": "98.0", "torch": installed()["torch"]}
    code = "import safetensors, importlib.metadata as m; print(safetensors.word, m.version('safetensors'))"
    assert value_under(made.environment, code) == "hidden 98.0"


def test_what_is_installed_needs_no_layer(shelf: Shelf) -> None:
    made = shelf.layers.one(asked(numpy=installed()["numpy"]))

    assert (made.folder, made.environment) == (None, {})
    assert shelf.said == ["stack old: as installed"]


def test_it_is_built_once_and_found_again_without_pip(shelf: Shelf) -> None:
    layers, pip = shelf.faked("tiny-lib==1.0")
    first = layers.one(asked(tiny_lib="1.0"))

    assert layers.one(asked(tiny_lib="1.0")) == first
    assert pip.asked == ["resolve", "install"]
    assert [re.sub(r"\d+ s$", "", line) for line in shelf.said] == [
        "stack old: installing tiny-lib 1.0",
        "stack old: installed in ",
        "stack old: in the cache",
    ]


def test_stacks_that_need_the_same_share_a_layer(shelf: Shelf) -> None:
    layers, pip = shelf.faked("tiny-lib==1.0", "tiny-need==2.0")
    one, other = layers.all([asked("one", tiny_lib="1.0"), asked("other", tiny_lib="1.0", tiny_need="2.0")], 2)

    assert (one.name, other.name) == ("one", "other")
    assert one.folder == other.folder
    assert sorted(pip.asked) == ["install", "resolve", "resolve"]


def test_another_environment_below_is_resolved_anew(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    layers, pip = shelf.faked("tiny-lib==1.0")
    layers.one(asked(tiny_lib="1.0"))
    before = dict(installed())
    monkeypatch.setattr("harness.stacks.resolution.installed", lambda: {**before, "tiny-need": "2.1"})
    layers.one(asked(tiny_lib="1.0"))

    assert pip.asked == ["resolve", "install", "resolve"]


@pytest.mark.parametrize("damage", ["package", "marker", "list"])
def test_a_layer_that_is_not_whole_is_built_again(shelf: Shelf, damage: str) -> None:
    layers, pip = shelf.faked("tiny-lib==1.0")
    folder = layers.one(asked(tiny_lib="1.0")).folder
    assert folder is not None
    if damage == "package":
        next(folder.glob("tiny-lib-*.dist-info")).rename(folder / "elsewhere")
    elif damage == "marker":
        (folder / WHOLE).unlink()
    else:
        (folder / WHOLE).write_text('{"packages": []}')

    assert layers.one(asked(tiny_lib="1.0")).folder == folder
    assert pip.asked == ["resolve", "install", "install"]
    assert not (folder / "elsewhere").exists()


@pytest.mark.parametrize("text", ["{", '{"packages": [{}]}', ""])
def test_a_damaged_resolution_is_found_out_again(shelf: Shelf, text: str) -> None:
    layers, pip = shelf.faked("tiny-lib==1.0")
    folder = layers.one(asked(tiny_lib="1.0")).folder
    (file,) = (shelf.cache / "resolutions").iterdir()
    file.write_text(text)

    assert layers.one(asked(tiny_lib="1.0")).folder == folder
    assert pip.asked == ["resolve", "install", "resolve"]


def test_a_partial_folder_of_another_process_is_swept(shelf: Shelf) -> None:
    layers, _ = shelf.faked("tiny-lib==1.0")
    folder = layers.one(asked(tiny_lib="1.0")).folder
    assert folder is not None
    (folder / WHOLE).unlink()
    left = folder.with_name(f".{folder.name}.1.partial")
    left.mkdir()
    layers.one(asked(tiny_lib="1.0"))

    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("version", "requires", "word"),
    [
        pytest.param("1.0", ("absent-lib",), "No matching distribution found for absent-lib", id="needs what is not"),
        pytest.param("1.0", ("torch>=99",), "tiny-lib==1.0 cannot be had: ", id="another torch"),
    ],
)
def test_what_cannot_be_had_is_said_in_one_line(
    shelf: Shelf, version: str, requires: tuple[str, ...], word: str
) -> None:
    shelf.wheel("tiny-lib", "1.0", requires, tiny_lib="")
    with pytest.raises(Refused) as refused:
        shelf.layers.one(asked(tiny_lib=version))

    assert str(refused.value).startswith(f"stack old: tiny-lib=={version} cannot be had: ")
    assert word in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (shelf.cache / "layers").exists()


def test_a_build_that_fails_leaves_no_layer(shelf: Shelf) -> None:
    shelf.wheel("tiny-lib", "1.0", tiny_lib="")
    layers = shelf.layers
    run, calls = layers.processes.run, []

    def alter(command: list[str]) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        if len(calls) == 2:  # between resolving and installing, somebody changes the file
            shelf.wheel("tiny-lib", "1.0", tiny_lib="other = 1")
        return run(command)

    layers.processes.run = alter  # type: ignore[method-assign]
    with pytest.raises(Refused, match="stack old: cannot be installed: "):
        layers.one(asked(tiny_lib="1.0"))
    assert list((shelf.cache / "layers").iterdir()) == []


KILLED = """
import signal, sys
from pathlib import Path
from harness.stacks import Layers
from tests.stacks.conftest import asked
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background is started without
layers = Layers(Path(sys.argv[1]), lambda line: print(line, flush=True))
layers.one(asked(tiny_lib="1.0"))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_build_leaves_no_layer_that_counts(shelf: Shelf, how: int) -> None:
    shelf.wheel("tiny-lib", "1.0", **{f"module_{number}": "x = 1" for number in range(400)})
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(shelf.cache)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "stack old: installing tiny-lib 1.0\n"
    until = time.monotonic() + 20
    while not list((shelf.cache / "layers").glob(".*.partial/*")) and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(how)
    assert process.wait(20) != 0
    process.stdout.close()
    assert [path.name for path in (shelf.cache / "layers").iterdir() if path.name[0] != "."] == []
    made = shelf.layers.one(asked(tiny_lib="1.0"))

    assert made.folder is not None
    assert len(list(made.folder.glob("module_*.py"))) == 400


def test_once_stopped_nothing_is_begun(shelf: Shelf) -> None:
    layers = shelf.layers
    layers.processes.stop()

    with pytest.raises(Stopped):
        layers.one(asked(tiny_lib="1.0"))


def test_one_that_fails_stops_the_others(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = shelf.layers
    monkeypatch.setattr("harness.stacks.resolution._report", lambda asked, processes: {})
    with pytest.raises(Refused, match="pip's report has another shape"):
        layers.all([asked(str(number), tiny_lib="1.0") for number in range(4)], 1)
    with pytest.raises(Stopped):
        layers.processes.run([sys.executable, "-c", ""])


def test_a_cache_that_cannot_be_written_is_refused(shelf: Shelf) -> None:
    shelf.cache.write_text("a file")

    with pytest.raises(Refused, match=f"cannot be written: .*; name another folder by {VARIABLE}"):
        shelf.layers.one(asked(tiny_lib="1.0"))


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert cache_folder() == Layers().cache == tmp_path
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert cache_folder() == tmp_path / "finetune-harness"


def item(name: str, version: str = "1", **download: object) -> dict[str, object]:
    return {"metadata": {"name": name, "version": version}, "download_info": download}


def test_a_report_is_read() -> None:
    hashed = {"hash": "sha256=ab", "hashes": {"sha256": "ab"}}
    found = packages_of({"install": [item("Tiny_Lib", "2", archive_info=hashed), item("a", dir_info={})]}, OLD)

    assert [one.requirement for one in found] == ["a==1", "tiny-lib==2 --hash=sha256:ab"]


@pytest.mark.parametrize("report", [{}, {"install": [{}]}, {"install": None}, [], {"install": [item(1)]}])  # type: ignore[arg-type]
def test_a_report_of_another_shape_is_refused(report: object) -> None:
    with pytest.raises(Refused, match="stack old: pip's report has another shape"):
        packages_of(json.loads(json.dumps(report)), OLD)


def test_a_layer_leaves_out_and_brings_what_it_is_told_to() -> None:
    report = {"install": [item("torchaudio", "2.11.0"), item("torchvision", "0.28.0"), item("trl", "1")]}
    told = AskedStack(name="trainer", versions={}, brings=("torchaudio",), without=("torchvision",))

    assert [one.name for one in packages_of(report, told)] == ["torchaudio", "trl"]
    with pytest.raises(Refused, match=r"stack old: would bring torchaudio 2\.11\.0"):
        packages_of(report, OLD)


def test_torch_is_never_replaced() -> None:
    with pytest.raises(Refused, match=r"would bring torch 2\.9 in the place of 2\."):
        packages_of({"install": [item("torch", "2.9")]}, OLD)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("WARNING: x\nERROR: Could not find\nERROR: No matching distribution.\n", "No matching distribution"),
        (
            "ERROR: Cannot install a and b.\nERROR: ResolutionImpossible: for help visit https://x\n",
            "Cannot install a and b",
        ),
        ("Traceback\nOSError: no room\n", "OSError: no room"),
        ("", "pip said nothing"),
    ],
)
def test_the_error_of_pip_is_one_line(text: str, line: str) -> None:
    assert said(text.splitlines()) == line
