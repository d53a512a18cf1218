"""A tiny base directory is complete, and its class follows from its configuration, whatever the directory is called."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from harness import stack
from harness.families.mini_gemini.processing import CODE, PROCESSOR_CODE, model_code, write_code
from harness.families.weights import filled
from harness.trace.fingerprint import fingerprint

MEMBERS = {"2b": "Gemma", "7b": "Llama", "8x7b": "Mixtral", "7b-hd": "Llama"}
TYPES = {"2b": "mini_gemini_gemma", "7b": "mini_gemini", "8x7b": "mini_gemini_mixtral", "7b-hd": "mini_gemini"}
PROCESSOR = PROCESSOR_CODE.values()
FILES = tuple(sorted(path.name for path in CODE.glob("*.py") if path.name != "__init__.py"))
STRANGER = """
import json, sys
from transformers import AutoConfig, AutoImageProcessor, AutoModelForCausalLM, AutoProcessor, AutoTokenizer
found = {}
for directory in sys.argv[1:]:
    autos = (AutoConfig, AutoModelForCausalLM, AutoImageProcessor, AutoProcessor)
    names = [type(auto.from_pretrained(directory, trust_remote_code=True)).__name__ for auto in autos]
    found[directory] = [*names, AutoTokenizer.from_pretrained(directory, trust_remote_code=True).pad_token]
assert not any(name.split(".")[0] == "harness" for name in sys.modules)
print(json.dumps(found))
"""


def tensors_of(directory: Path) -> dict[str, torch.Tensor]:
    return {key: tensor for path in directory.glob("*.safetensors") for key, tensor in load_file(path).items()}


def run(code: str, *arguments: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    given = {**os.environ, **environment}
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False, cwd="/")


def adds_one(key: str, member: str) -> bool:
    """Whether the weight belongs to one of Gemma's norms."""
    return member == "2b" and key.endswith("norm.weight") and key.startswith(("model.layers.", "model.norm."))


def named(name: str, member: str, mini_gemini: Any, folder: Path) -> Path:
    """The member's directory under another name."""
    directory: Path = shutil.copytree(mini_gemini.base(member), folder / member / name)
    return directory


def test_a_stranger_gets_every_class_back_whatever_the_directories_are_called(mini_gemini: Any, tmp_path: Path) -> None:
    """The published scripts and loaders look for "mistral", "mixtral", "gemma", "8x7b", "2b" and "mgm" in the path."""
    misleading = {"2b": "mistral-8x7b", "7b": "gemma-2b", "8x7b": "mgm-7b", "7b-hd": "mixtral"}
    directories = {named(name, member, mini_gemini, tmp_path): member for member, name in misleading.items()}
    done = run(STRANGER, *directories, HF_MODULES_CACHE=str(tmp_path / "modules"))

    assert done.returncode == 0, done.stderr
    for directory, (configuration, model, images, processor, pad) in json.loads(done.stdout).items():
        kind = MEMBERS[directories[Path(directory)]]
        assert model == f"MGM{kind}ForCausalLM"
        assert configuration == ("MGMConfig" if kind == "Llama" else f"MGM{kind}Config")
        assert (images, processor, pad) == ("MGMImageProcessor", "MGMProcessor", "<unk>")


@pytest.mark.parametrize("member", MEMBERS)
def test_the_files_are_those_of_a_published_directory(member: str, mini_gemini: Any) -> None:
    base = mini_gemini.base(member)
    files = {path.name for path in base.iterdir()}

    assert files - {"chat_template.jinja", "special_tokens_map.json"} == {  # which of the two, depends on the release
        *FILES,
        *(f"model-{number:05d}-of-00004.safetensors" for number in range(1, 5)),
        *("config.json", "generation_config.json", "model.safetensors.index.json"),
        *("preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"),
    }
    config = json.loads((base / "config.json").read_text())
    assert config["model_type"] == TYPES[member]
    assert config["drop_path"] is False
    assert config["mm_vision_select_layer"] == -2
    assert config["mm_projector_type"] == "mlp2x_gelu"


@pytest.mark.parametrize("name", FILES)
def test_a_code_file_needs_nothing_of_the_harness(name: str) -> None:
    tree = ast.parse((CODE / name).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]

    far = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    far |= {str(node.module) for node in imports if isinstance(node, ast.ImportFrom) and not node.level}
    near = {(node.level, f"{node.module}.py") for node in imports if isinstance(node, ast.ImportFrom) and node.level}
    packages = {module.partition(".")[0] for module in far}
    assert packages <= {"torch", "transformers", "numpy", "PIL", *sys.stdlib_module_names}
    assert near <= {(1, name) for name in FILES}


def beside(name: str) -> set[str]:
    """The code files that one imports by itself."""
    nodes = ast.walk(ast.parse((CODE / f"{name}.py").read_text()))
    return {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and node.level}


@pytest.mark.parametrize("named", sorted({path.split(".")[0] for path in (*model_code("gemma").values(), *PROCESSOR)}))
def test_a_file_that_is_named_imports_all_that_its_own_files_need(named: str) -> None:
    """Releases before transformers 5 copy what it imports, and not what that imports in turn."""
    direct = beside(named)

    assert {further for name in direct for further in beside(name)} <= direct


@pytest.mark.parametrize("member", MEMBERS)
def test_what_was_written_arrives_under_its_key(member: str, mini_gemini: Any) -> None:
    from transformers import AutoModelForCausalLM

    base, canonical = mini_gemini.base(member), mini_gemini.family(member).naming.canonical
    options = {**stack.dtype_argument(torch.bfloat16), "trust_remote_code": True, "output_loading_info": True}
    model, report = AutoModelForCausalLM.from_pretrained(base, **options)

    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    written = tensors_of(base)
    arrived = {canonical(path): value for path, value in model.named_parameters()}
    assert {key: fingerprint(value) for key, value in arrived.items()} == {
        key: fingerprint(filled(key, tensor.shape, 0.0 if adds_one(key, member) else None).bfloat16())
        for key, tensor in written.items()
    }
    assert ("lm_head.weight" in written) == (member != "2b")


def test_the_scales_of_blocks_are_so_large_that_what_blocks_do_shows(mini_gemini: Any) -> None:
    """Random weights of a ConvNeXt begin at a scale of 1e-6, at which stochastic depth leaves no trace."""
    scales = [tensor for key, tensor in tensors_of(mini_gemini.base("7b")).items() if key.endswith("gamma")]

    assert len(scales) == 6
    assert all(float(scale.min()) > 0.9 for scale in scales)


def test_the_base_is_the_same_bytes_in_another_process(mini_gemini: Any, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\nfrom harness.families import family\n"
        "family('mini-gemini-2b').write_base(pathlib.Path(sys.argv[1]))"
    )
    done = run(code, tmp_path, PYTHONHASHSEED="4", TZ="Asia/Tokyo", PYTHONPATH=str(CODE.parents[3]))

    assert done.returncode == 0, done.stderr
    first, second = (
        {path.name: path.read_bytes() for path in one.iterdir()} for one in (mini_gemini.base("2b"), tmp_path)
    )
    assert first == second


@pytest.mark.parametrize("member", MEMBERS)
def test_saved_as_a_trainer_saves_it_comes_back_whole(member: str, mini_gemini: Any, tmp_path: Path) -> None:
    loaded = mini_gemini.loaded(member)
    loaded.model.save_pretrained(tmp_path)
    loaded.processor.save_pretrained(tmp_path)
    if stack.release("transformers") < (5, 0):
        write_code(tmp_path)  # releases that leave the model's code behind: the saved directory does not load without

    again = mini_gemini.family(member).load(tmp_path, torch.float32)

    assert type(again.model).__name__ == f"MGM{MEMBERS[member]}ForCausalLM"
    assert type(again.processor).__name__ == "MGMProcessor"
    assert {key: fingerprint(value) for key, value in tensors_of(tmp_path).items()} == {
        key: fingerprint(value) for key, value in tensors_of(mini_gemini.base(member)).items()
    }
    before, after = (
        {key: value for key, value in one.model.config.to_dict().items() if not key.startswith("_")}
        for one in (loaded, again)
    )
    assert before == after
