"""`harness inspect` of adapters: whether one fits its base, and what it lacks."""

from __future__ import annotations

import json
import shutil

from tests.checkpoint.directories import LAYERS, tensors, write


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


def test_an_adapter_whose_target_is_no_expression_is_a_problem(call, adapter, base) -> None:
    write(adapter, "adapter_config.json", {"target_modules": "("})

    ran = call("inspect", adapter, "--base", base)
    assert ran.status == 1
    assert "target_modules '(' is no regular expression" in ran.out


def test_an_adapter_that_is_meant_to_be_nothing_more_lacks_nothing(call, adapter, base) -> None:
    for path in list(adapter.iterdir()):
        if not path.name.startswith("adapter"):
            path.unlink()

    assert call("inspect", adapter, "--base", base).status == 1
    assert call("inspect", adapter, "--base", base, "--kind", "adapter").status == 0
