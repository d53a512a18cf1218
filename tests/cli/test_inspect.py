"""`harness inspect`: what a saved directory lacks of its base, or of what it says of itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
import torch

from tests.checkpoint.directories import CODE, LAYERS, tensors, write
from tests.cli.conftest import PROCESSOR


def test_a_whole_directory_has_nothing_wrong(call, base, tmp_path) -> None:
    shutil.copytree(base, tmp_path / "copy")

    ran = call("inspect", tmp_path / "copy", "--base", base)

    assert (ran.status, ran.err) == (0, "")
    assert ran.out.splitlines()[-1] == "3 tensors in 1 files"


def test_a_lost_processor_is_said_with_what_comes_of_it_and_what_to_do(call, saved, base) -> None:
    ran = call("inspect", saved, "--base", base)

    assert ran.status == 1
    block = ran.out[ran.out.index("FAILED  processor") :].split("\n\n")[0].splitlines()
    assert block == [
        "FAILED  processor",
        f"  expected  preprocessor_config.json, as in {base}",
        "  seen      AutoProcessor will fall back to the tokenizer: preprocessor_config.json is missing",
        f"  where     {saved}",
        "  cause     the trainer saved the tokenizer, not the processor",
        f"  do        harness inspect {saved} --base {base} --repair",
    ]
    assert ran.out.splitlines()[-1] == "3 tensors in 1 files, 2 problems"


def test_a_program_gets_the_same_as_people(call, saved, base) -> None:
    shown = json.loads(call("inspect", saved, "--base", base, "--json").out)

    assert [finding["about"] for finding in shown["findings"]] == ["processor", "image processor"]
    assert all(
        {"kind", "about", "check", "role", "expected", "seen", "where", "cause", "do", "severity"} == set(finding)
        for finding in shown["findings"]
    )
    assert shown["roles"]["trainer"] == ["trainer_state.json", "training_args.bin"]
    assert shown["code"] == {"named": sorted(set(CODE) - set(PROCESSOR)), "missing": []}
    assert shown["pickled"] == ["training_args.bin"]
    assert (shown["adapter"], shown["copied"]) == (None, [])
    repaired = json.loads(call("inspect", saved, "--base", base, "--repair", "--json").out)
    assert (repaired["copied"], repaired["findings"]) == (sorted(PROCESSOR), [])


def test_without_a_base_nothing_is_missed_that_only_a_base_would_show(call, saved) -> None:
    ran = call("inspect", saved)

    assert ran.status == 0
    assert ran.out.splitlines()[-1] == "3 tensors in 1 files"


def test_a_trainers_own_files_and_pickles_are_listed_and_never_loaded(call, saved, monkeypatch) -> None:
    monkeypatch.setattr(torch, "load", None)
    lines = call("inspect", saved).out.splitlines()

    assert "trainer_state.json  the trainer's own" in lines
    assert "training_args.bin   the trainer's own, a pickle, never loaded" in lines


def test_missing_code_is_wrong_even_without_a_base(call, saved, base) -> None:
    (saved / "resampler.py").unlink()

    ran = call("inspect", saved)
    assert ran.status == 1
    assert "is missing, and modeling_demo.py needs it" in ran.out
    assert str(saved / "resampler.py") in ran.out
    assert call("inspect", saved, "--base", base, "--repair").status == 0


def test_code_that_the_base_lacks_too_is_to_be_fetched(call, saved, base) -> None:
    (saved / "resampler.py").unlink()
    (base / "resampler.py").unlink()

    ran = call("inspect", saved, "--base", base, "--repair")
    assert ran.status == 1
    assert f"fetch it where {base} came from: it lacks it too" in ran.out


def test_code_that_is_taken_from_a_repository_is_not_missed(call, saved, base) -> None:
    for name in set(CODE) - set(PROCESSOR):
        (saved / name).unlink()
    for name in ("config.json", "tokenizer_config.json"):
        content = json.loads((saved / name).read_text())
        write(saved, name, {**content, "auto_map": {"AutoModel": "somebody/demo--modeling_demo.Demo"}})
    findings = json.loads(call("inspect", saved, "--base", base, "--json").out)["findings"]

    assert [finding["about"] for finding in findings] == ["processor", "image processor"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("def f(:\n", "is no Python that can be read: invalid syntax in line 1"), ("from ..x import y\n", "from outside")],
)
def test_code_that_cannot_be_read_is_a_finding(call, base, text, said) -> None:
    write(base, "resampler.py", text)

    ran = call("inspect", base)
    assert ran.status == 1
    assert said in ran.out


def test_a_lost_generation_configuration_and_tokenizer_are_said(call, saved, base) -> None:
    for name in ("generation_config.json", "tokenizer.json"):
        (saved / name).unlink()
    findings = json.loads(call("inspect", saved, "--base", base, "--json").out)["findings"]

    assert [finding["about"] for finding in findings] == [
        "generation configuration",
        "tokenizer",
        "processor",
        "image processor",
    ]


def test_a_native_state_dict_is_shown_tensor_by_tensor(call, tmp_path) -> None:
    torch.save({"model": {"a.weight": torch.zeros(2, 3).half()}}, tmp_path / "full_sft_512.pth")

    ran = call("inspect", tmp_path)
    assert ran.status == 0
    assert ran.out.splitlines() == [
        "a.weight  [2, 3]  F16  full_sft_512.pth",
        "full_sft_512.pth  a pickle, of which only the tensors were read",
        "1 tensors in 1 files",
    ]


def test_a_native_file_that_holds_more_than_tensors_is_a_problem(call, tmp_path) -> None:
    torch.save({"model": torch.nn.Linear(1, 1)}, tmp_path / "model.pth")

    ran = call("inspect", tmp_path)
    assert ran.status == 1
    assert "is damaged, or holds more than tensors and is not loaded" in ran.out
    assert f"  where     {tmp_path / 'model.pth'}" in ran.out


def test_looking_at_safetensors_needs_no_torch(saved, base) -> None:
    code = (
        "import sys\nfrom harness.cli.main import status_of\n"
        f"assert status_of(['inspect', {str(saved)!r}, '--base', {str(base)!r}]) == 1\n"
        "sys.exit(sum(name in sys.modules for name in ('torch', 'transformers', 'peft')))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_keys_that_were_to_be_left_out_are_not_missed(call, saved, base) -> None:
    shutil.copy(base / "preprocessor_config.json", saved)
    shutil.copy(base / "processing_demo.py", saved)
    shutil.copy(base / "image_processing_demo.py", saved)
    tensors(saved, "model.safetensors", {f"llm.{path}.weight": (4, 4) for path in LAYERS})

    ran = call("inspect", saved, "--base", base)
    assert ran.status == 1
    assert "FAILED  keys" in ran.out
    assert "1 of them are not there" in ran.out
    assert call("inspect", saved, "--base", base, "--left-out", "resampler").status == 0


def test_warnings_are_counted_and_fail_nothing(call, saved, base) -> None:
    for name in PROCESSOR:
        shutil.copy(base / name, saved)
    content = json.loads((saved / "tokenizer_config.json").read_text())
    write(saved, "tokenizer_config.json", {**content, "chat_template": "y"})

    ran = call("inspect", saved, "--base", base)
    assert ran.status == 0
    assert "WARNED  chat_template" in ran.out
    assert ran.out.splitlines()[-1] == "3 tensors in 1 files, 1 warning"


def test_hashes_are_the_fingerprints_that_traces_have(call, saved) -> None:
    from harness.checkpoint.tensors import listed_tensors

    shown = json.loads(call("inspect", saved, "--hashes", "--json").out)
    assert shown["tensors"] == listed_tensors(saved)
    assert "inspect.values" in shown["judged"]
    assert "fingerprint" not in str(json.loads(call("inspect", saved, "--json").out)["tensors"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--kind", "half"), "no kind of save 'half'; name one of full, partial,"),
        (("--left-out", "("), "--left-out '(' is no regular expression"),
        (("--in-place",), "--in-place is for --repair"),
        (("--repair", "--in-place", "--out", "x"), "takes no --out"),
        (("--with", "eyes=x"), "names no component and directory; vision|connector|language=DIR"),
        (("--with", "vision=x", "--with-vision-from", "x"), "--with-vision-from is --with vision=DIR"),
        (("--with-vision-from", "nowhere"), "nowhere: no such directory"),
        (("--with-vision-from", "x", "--repair"), "write two copies"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(call, saved, arguments, said) -> None:
    assert said in call("inspect", saved, *arguments).refusal


def test_a_reader_that_stops_reading_is_no_failure(saved, base) -> None:
    told = subprocess.Popen(
        [sys.executable, "-m", "harness", "inspect", str(saved), "--base", str(base)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert told.stdout
    assert told.stderr
    told.stdout.close()

    assert told.stderr.read() == ""
    told.wait()
