"""`harness inspect`: what a saved directory lacks of its base, whether an adapter fits one, and repairing."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.checkpoint.directories import CODE, LAYERS, tensors, with_code, write

PROCESSOR = ("preprocessor_config.json", "processing_demo.py", "image_processing_demo.py")


@pytest.fixture
def base(tmp_path) -> Path:
    return with_code(tmp_path / "base")


@pytest.fixture
def saved(base) -> Path:
    """What a trainer leaves that saves model and tokenizer, and not the processor."""
    directory = base.with_name("saved")
    shutil.copytree(base, directory)
    for name in PROCESSOR:
        (directory / name).unlink()
    torch.save({"seed": 1}, directory / "training_args.bin")
    write(directory, "trainer_state.json", {})
    return directory


@pytest.fixture
def adapter(base) -> Path:
    """An adapter for the base, with all that prepares its inputs."""
    directory = base.with_name("adapter")
    shapes = {}
    for path in LAYERS:
        shapes[f"base_model.model.llm.{path}.lora_A.weight"] = (2, 4)
        shapes[f"base_model.model.llm.{path}.lora_B.weight"] = (4, 2)
    tensors(directory, "adapter_model.safetensors", shapes)
    said = {"peft_type": "LORA", "target_modules": r"llm\..*q_proj", "base_model_name_or_path": "/models/Demo-8B"}
    write(directory, "adapter_config.json", said)
    for name in ("tokenizer.json", "tokenizer_config.json", *PROCESSOR, "tokenization_demo.py"):
        shutil.copy(base / name, directory / name)
    return directory


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


def test_what_it_says_to_do_does_it(call, saved, base) -> None:
    (finding, *_) = json.loads(call("inspect", saved, "--base", base, "--json").out)["findings"]

    ran = call(*shlex.split(finding["do"])[1:])

    assert ran.status == 0
    assert "preprocessor_config.json  copied from" in ran.out
    repaired = saved.with_name("saved-repaired")
    assert f"{repaired}: completed" in ran.out
    assert all((repaired / name).read_bytes() == (base / name).read_bytes() for name in PROCESSOR)
    assert call("inspect", repaired, "--base", base).status == 0
    assert not (saved / PROCESSOR[0]).exists(), "the original is left as it was"


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


def test_what_repair_cannot_do_is_left_and_said(call, saved, base) -> None:
    write(saved, "tokenizer_config.json", {"eos_token": "</s>"})

    ran = call("inspect", saved, "--base", base, "--repair")
    assert ran.status == 1
    assert "FAILED  chat template" in ran.out
    assert "apply_chat_template will refuse every conversation: no file plays this role" in ran.out
    assert "tokenizer_config.json is there without it: take the entry over from" in ran.out
    assert ran.out.splitlines()[-1] == "3 tensors in 1 files, 1 problem"


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


# -- adapters ------------------------------------------------------------------------------------------------------


def test_an_adapter_that_fits_is_said_to(call, adapter, base) -> None:
    ran = call("inspect", adapter, "--base", base)

    assert (ran.status, ran.err) == (0, "")
    assert f"the adapter fits {base}, by its checkpoint names" in ran.out


def test_a_target_that_meets_nothing_is_named_though_the_adapter_fits(call, adapter, base) -> None:
    write(adapter, "adapter_config.json", {"peft_type": "LORA", "target_modules": ["q_proj", "gate_proj"]})

    ran = call("inspect", adapter, "--base", base)
    assert ran.status == 0
    assert "by its checkpoint names; gate_proj among its targets meets nothing there" in ran.out


def test_an_adapter_for_another_base_is_said_to_be_with_what_would_fit(call, adapter, tmp_path) -> None:
    plain = tmp_path / "plain"
    tensors(plain, "model.safetensors", {f"{path}.weight": (4, 4) for path in LAYERS})
    write(plain, "config.json", {"architectures": ["LlamaForCausalLM"], "model_type": "unheard-of"})

    ran = call("inspect", adapter, "--base", plain)
    assert ran.status == 1
    assert (
        "  seen      an adapter for a model whose layers are under llm.model.layers, such as Demo-8B; this base is "
        "LlamaForCausalLM, whose are under model.layers (by its checkpoint names)"
    ) in ran.out.splitlines()
    shown = json.loads(call("inspect", adapter, "--base", plain, "--json").out)
    assert shown["adapter"]["prefixes"] == ["llm", ""]
    assert [finding["kind"] for finding in shown["findings"]] == ["AdapterMisfit"]


def test_an_adapter_without_what_prepares_its_inputs_is_repaired(call, adapter, base) -> None:
    for name in PROCESSOR:
        (adapter / name).unlink()

    assert "AutoProcessor will fall back to the tokenizer" in call("inspect", adapter, "--base", base).out
    assert call("inspect", adapter, "--base", base, "--repair").status == 0
    assert not (adapter / "config.json").exists()


def test_an_adapter_without_its_configuration_is_said_without_a_base(call, adapter, base) -> None:
    shutil.copy(base / "config.json", adapter)
    (adapter / "adapter_config.json").unlink()
    shown = json.loads(call("inspect", adapter, "--json").out)

    assert "adapter configuration" in [finding["about"] for finding in shown["findings"]]


def test_a_base_is_known_by_its_modules_where_transformers_has_them(call, tmp_path) -> None:
    """The checkpoint of a LLaVA has other names than its modules: by them no adapter would fit."""
    import peft
    import transformers

    from harness import stack

    call("tiny", "llava-1.5-7b", tmp_path / "base")
    model = transformers.LlavaForConditionalGeneration.from_pretrained(tmp_path / "base")
    peft.get_peft_model(model, peft.LoraConfig(target_modules=r".*language_model.*q_proj")).save_pretrained(
        tmp_path / "a"
    )
    ran = call("inspect", tmp_path / "a", "--base", tmp_path / "base", "--repair")

    assert (ran.status, ran.err) == (0, "")
    assert f"the adapter fits {tmp_path / 'base'}, by its module paths" in ran.out
    from harness.checkpoint.fit import adapter_fit

    if stack.release("transformers") >= (4, 52):
        assert not adapter_fit(tmp_path / "a", base=tmp_path / "base").fits


def test_nothing_is_copied_to_an_adapter_from_a_base_that_it_does_not_fit(call, adapter, base) -> None:
    for name in PROCESSOR:
        (adapter / name).unlink()
    tensors(base, "model.safetensors", {f"{path}.weight": (4, 4) for path in LAYERS})
    before = sorted(adapter.iterdir())

    shown = json.loads(call("inspect", adapter, "--base", base, "--repair", "--json").out)
    assert [finding["kind"] for finding in shown["findings"]] == ["AdapterMisfit"]
    assert shown["copied"] == []
    assert sorted(adapter.iterdir()) == before


def test_nothing_is_copied_from_the_base_of_another_model(call, saved, base) -> None:
    content = json.loads((base / "config.json").read_text())
    write(base, "config.json", {**content, "model_type": "other"})
    before = sorted(saved.iterdir())

    ran = call("inspect", saved, "--base", base, "--repair")
    assert ran.status == 1
    assert "FAILED  model" in ran.out
    assert f"  expected  a model of type other, as in {base}" in ran.out
    assert ran.out.splitlines()[-1] == "3 tensors in 1 files, 1 problem"
    assert sorted(saved.iterdir()) == before


# -- what cannot be looked at --------------------------------------------------------------------------------------


def test_repairing_needs_a_base_that_is_a_directory_and_another(call, saved, base) -> None:
    assert call("inspect", saved, "--repair").refusal == (
        "--repair copies from a base directory, and no index of shards is missing; name the base with --base DIR"
    )
    assert "no such directory; name the base directory with --base" in (
        call("inspect", saved, "--base", base / "gone").refusal
    )
    assert "no such directory" in call("inspect", saved, "--base", base / "config.json").refusal
    assert (
        "is the checkpoint itself" in call("inspect", saved, "--base", saved.parent / "base" / ".." / "saved").refusal
    )


def test_a_damaged_file_of_the_base_is_one_line_and_nothing_is_copied(call, saved, base) -> None:
    write(base, "preprocessor_config.json", "{")

    line = call("inspect", saved, "--base", base, "--repair").refusal
    assert f"{base / 'preprocessor_config.json'}: is damaged: it is no JSON object" in line
    assert not (saved / "preprocessor_config.json").exists()


def test_a_damaged_file_of_the_checkpoint_is_a_problem_and_nothing_is_copied(call, saved, base) -> None:
    write(saved, "tokenizer_config.json", "{")

    ran = call("inspect", saved, "--base", base, "--repair")
    assert ran.status == 1
    assert "FAILED  readable" in ran.out
    assert f"  where     {saved / 'tokenizer_config.json'}" in ran.out
    assert "nothing that is missing can be copied: no copy was made" in ran.out
    assert not (saved / "preprocessor_config.json").exists()
    assert not saved.with_name("saved-repaired").exists()


def test_a_native_file_that_holds_more_than_tensors_is_a_problem(call, tmp_path) -> None:
    torch.save({"model": torch.nn.Linear(1, 1)}, tmp_path / "model.pth")

    ran = call("inspect", tmp_path)
    assert ran.status == 1
    assert "is damaged, or holds more than tensors and is not loaded" in ran.out
    assert f"  where     {tmp_path / 'model.pth'}" in ran.out


def test_an_adapter_whose_target_is_no_expression_is_a_problem(call, adapter, base) -> None:
    write(adapter, "adapter_config.json", {"target_modules": "("})

    ran = call("inspect", adapter, "--base", base)
    assert ran.status == 1
    assert "target_modules '(' is no regular expression" in ran.out


def test_looking_at_safetensors_needs_no_torch(saved, base) -> None:
    code = (
        "import sys\nfrom harness.cli.main import status_of\n"
        f"assert status_of(['inspect', {str(saved)!r}, '--base', {str(base)!r}]) == 1\n"
        "sys.exit(sum(name in sys.modules for name in ('torch', 'transformers', 'peft')))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_an_index_that_is_missing_is_written_without_any_base(call, saved) -> None:
    tensors(saved, "model-00001-of-00002.safetensors", {"a": (2,)})
    tensors(saved, "model-00002-of-00002.safetensors", {"b": (2,)})
    (saved / "model.safetensors").unlink()
    index = saved / "model.safetensors.index.json"
    places = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}

    before = call("inspect", saved)
    ran = call("inspect", saved, "--repair", "--in-place")

    assert before.status == 1
    assert "shards and no index (model.safetensors.index.json): from_pretrained finds none" in before.out
    assert ran.status == 0
    assert "model.safetensors.index.json: written from the shards' own keys" in ran.out
    assert json.loads(index.read_text())["weight_map"] == places


# -- what it was meant to hold, and where a copy goes --------------------------------------------------------------


def test_an_adapter_that_is_meant_to_be_nothing_more_lacks_nothing(call, adapter, base) -> None:
    for path in list(adapter.iterdir()):
        if not path.name.startswith("adapter"):
            path.unlink()

    assert call("inspect", adapter, "--base", base).status == 1
    assert call("inspect", adapter, "--base", base, "--kind", "adapter").status == 0


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


def test_the_copy_goes_where_it_is_told_and_never_over_anything(call, saved, base, tmp_path) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    out = tmp_path / "out" / "whole"

    ran = call("inspect", saved, "--base", base, "--repair", "--out", out)
    assert ran.status == 0
    assert ran.out.splitlines()[-2:] == [f"{out}: completed", "3 tensors in 1 files"]
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert {path.name for path in base.iterdir()} <= {path.name for path in out.iterdir()}
    assert call("inspect", out, "--base", base).status == 0
    again = call("inspect", saved, "--base", base, "--repair", "--out", out).refusal
    assert "there is something already; name another place with --out, or remove it" in again
    inside = call("inspect", saved, "--base", base, "--repair", "--out", saved / "whole").refusal
    assert "lies in the checkpoint itself" in inside


def test_the_directory_itself_is_completed_where_that_is_asked(call, saved, base) -> None:
    ran = call("inspect", saved, "--base", base, "--repair", "--in-place")

    assert ran.status == 0
    assert f"{saved}: completed" in ran.out
    assert not saved.with_name("saved-repaired").exists()
    assert all((saved / name).read_bytes() == (base / name).read_bytes() for name in PROCESSOR)


def test_what_is_whole_is_not_copied(call, base, tmp_path) -> None:
    shutil.copytree(base, tmp_path / "copy")

    ran = call("inspect", tmp_path / "copy", "--base", base, "--repair")
    assert ran.status == 0
    assert "nothing that is missing can be copied: no copy was made" in ran.out
    assert not (tmp_path / "copy-repaired").exists()


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
