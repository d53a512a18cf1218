"""The tiny base directory is complete: a process without the harness loads it, where its code is trusted."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from harness import stack
from harness.families.minicpm.processing import CODE, write_code
from harness.families.weights import filled
from harness.recipe import Recipe
from harness.trace.fingerprint import fingerprint

FILES = (
    *("configuration_minicpm.py", "image_processing_minicpmv.py", "modeling_minicpmv.py"),
    *("processing_minicpmv.py", "resampler.py", "tokenization_minicpmv_fast.py"),
)
STRANGER = """
import json, sys
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForCausalLM, AutoProcessor, AutoTokenizer
found = {}
for auto in (AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer, AutoImageProcessor, AutoProcessor):
    made = auto.from_pretrained(sys.argv[1], trust_remote_code=True)
    found[auto.__name__] = type(made).__name__
assert not any(name.split(".")[0] == "harness" for name in sys.modules)
print(json.dumps(found))
"""


def tensors_of(directory: Path) -> dict[str, torch.Tensor]:
    return {key: tensor for path in directory.glob("*.safetensors") for key, tensor in load_file(path).items()}


def run(code: str, *arguments: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    path = os.pathsep.join(filter(None, [environment.pop("PYTHONPATH", ""), os.environ.get("PYTHONPATH", "")]))
    given = {**os.environ, **environment, "PYTHONPATH": path}
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False, cwd="/")


def test_the_files_are_those_of_a_published_directory(minicpm_base: Path) -> None:
    files = {path.name for path in minicpm_base.iterdir()}

    shards = {f"model-{number:05d}-of-00004.safetensors" for number in range(1, 5)}
    assert files - {"chat_template.jinja", "special_tokens_map.json"} == {  # which of the two, depends on the release
        *FILES,
        *shards,
        *("config.json", "generation_config.json", "model.safetensors.index.json"),
        *("preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"),
    }
    assert all((minicpm_base / name).read_bytes() == (CODE / name).read_bytes() for name in FILES)


def test_every_class_that_is_named_is_in_the_file_that_is_named(minicpm_base: Path) -> None:
    maps = [json.loads(path.read_text()).get("auto_map", {}) for path in minicpm_base.glob("*config.json")]
    named = [
        one
        for auto_map in maps
        for value in auto_map.values()
        for one in ([value] if isinstance(value, str) else value)
    ]

    assert {auto for auto_map in maps for auto in auto_map} == {
        *("AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoTokenizer", "AutoProcessor", "AutoImageProcessor")
    }
    for module, name in (one.split(".") for one in named if one):
        tree = ast.parse((minicpm_base / f"{module}.py").read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


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


def test_a_stranger_gets_every_class_back(minicpm_base: Path, tmp_path: Path) -> None:
    done = run(STRANGER, minicpm_base, HF_MODULES_CACHE=str(tmp_path))

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "AutoConfig": "MiniCPMVConfig",
        "AutoModel": "MiniCPMV",
        "AutoModelForCausalLM": "MiniCPMV",
        "AutoTokenizer": "MiniCPMVTokenizerFast",
        "AutoImageProcessor": "MiniCPMVImageProcessor",
        "AutoProcessor": "MiniCPMVProcessor",
    }


def test_nothing_runs_that_is_not_trusted(minicpm_base: Path) -> None:
    from transformers import AutoModel, AutoProcessor

    for auto in (AutoModel, AutoProcessor):
        with pytest.raises(ValueError, match="trust_remote_code"):
            auto.from_pretrained(minicpm_base, trust_remote_code=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_what_was_written_arrives_under_its_key(minicpm: Any, minicpm_base: Path, dtype: torch.dtype) -> None:
    from transformers import AutoModel

    options = {**stack.dtype_argument(dtype), "trust_remote_code": True, "output_loading_info": True}
    model, report = AutoModel.from_pretrained(minicpm_base, **options)

    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    arrived = {path: fingerprint(value) for path, value in model.state_dict().items()}
    assert arrived == {key: fingerprint(tensor.to(dtype)) for key, tensor in tensors_of(minicpm_base).items()}
    assert arrived == {key: fingerprint(filled(key, t.shape).to(dtype)) for key, t in model.state_dict().items()}


def test_no_two_tensors_of_the_base_are_alike(minicpm_base: Path) -> None:
    tensors = tensors_of(minicpm_base)

    assert len({fingerprint(tensor) for tensor in tensors.values()}) == len(tensors)
    norms = [tensor for key, tensor in tensors.items() if key.startswith("resampler.ln_") and key.endswith("weight")]
    assert len(norms) == 3
    assert all(abs(float(norm.mean()) - 1) < 0.05 for norm in norms)


def test_the_base_is_the_same_bytes_in_another_process(minicpm_base: Path, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\nfrom harness.families import family\n"
        "family('minicpm-llama3-v-2.5').write_base(pathlib.Path(sys.argv[1]))"
    )
    done = run(code, tmp_path, PYTHONHASHSEED="4", TZ="Asia/Tokyo", PYTHONPATH=str(CODE.parents[3]))

    assert done.returncode == 0, done.stderr
    first, second = ({path.name: path.read_bytes() for path in one.iterdir()} for one in (minicpm_base, tmp_path))
    assert first == second


def test_saved_as_a_trainer_saves_it_comes_back_whole(minicpm: Any, minicpm_base: Path, tmp_path: Path) -> None:
    loaded = minicpm.load(minicpm_base, torch.float32)
    loaded.model.save_pretrained(tmp_path)
    loaded.processor.save_pretrained(tmp_path)
    if stack.release("transformers") < (5, 0):
        write_code(tmp_path)  # releases that leave the model's code behind: the saved directory does not load without

    again = minicpm.load(tmp_path, torch.float32)

    assert type(again.model).__name__ == "MiniCPMV"
    assert type(again.processor).__name__ == "MiniCPMVProcessor"
    saved = tensors_of(tmp_path)
    assert {key: fingerprint(value) for key, value in saved.items()} == {
        key: fingerprint(value) for key, value in tensors_of(minicpm_base).items()
    }
    before, after = (
        {key: value for key, value in one.model.config.to_dict().items() if not key.startswith("_")}
        for one in (loaded, again)
    )
    assert before == after


@pytest.mark.parametrize("kinds", [("image", "several"), ("text",)], ids=["images", "text alone"])
def test_a_gradient_reaches_exactly_what_the_intent_says(
    minicpm: Any, minicpm_base: Path, of_each_kind: dict[str, Any], kinds: tuple[str, ...]
) -> None:
    loaded = minicpm.load(minicpm_base, torch.float32)
    recipe = {"family": minicpm.name, "tune": "all", "data": {"mix": kinds}}
    intent = minicpm.intent(Recipe.model_validate(recipe))

    encoded = [minicpm.encode(of_each_kind[kind], loaded.processor, 2048) for kind in kinds]
    minicpm.loss(loaded.model.train(), minicpm.collate(encoded, loaded.processor)).backward()

    got = {path for path, p in loaded.model.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert got == {path for path, _ in loaded.model.named_parameters() if intent.reaches(path)}
