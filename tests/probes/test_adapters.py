"""Probes of adapters, on a real one."""

from collections.abc import Callable
from typing import Any

import peft
import pytest
import torch

from harness.probes import PROBES, Probed, undisturbed
from harness.probes.passes import all_logits, fingerprints, largest

Trained = Callable[..., Probed]
ADAPTED = ["base_model.model.first", "base_model.model.second"]
METHODS = [
    pytest.param(peft.LoraConfig, {}, id="lora"),
    pytest.param(peft.LoraConfig, {"use_dora": True}, id="dora"),
    pytest.param(peft.IA3Config, {"feedforward_modules": []}, id="ia3"),
    pytest.param(peft.LoHaConfig, {}, id="loha"),
]


def probe(name: str, probed: Probed) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What a probe finds. Afterwards the model is bit for bit as it was, and not merged."""
    before = {path: value.clone() for path, value in probed.model.state_dict().items()}
    flags = [parameter.requires_grad for parameter in probed.model.parameters()]
    with undisturbed(probed.model):
        found = PROBES[name](probed)
    after = probed.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[path], value) for path, value in before.items())
    assert [parameter.requires_grad for parameter in probed.model.parameters()] == flags
    assert not any(getattr(module, "merged_adapters", ()) for module in probed.model.modules())
    return found


def logits(probed: Probed) -> dict[str, torch.Tensor]:
    with undisturbed(probed.model):
        return all_logits(probed)


@pytest.mark.parametrize(("method", "options"), METHODS)
def test_off_is_the_base_bit_for_bit(trained: Trained, base: Probed, method: Any, options: dict[str, Any]) -> None:
    facts, arrays = probe("adapter_disabled", trained(method, **options))

    assert facts["fingerprint"] == fingerprints(arrays) == fingerprints(logits(base))
    assert all(value > 0 for value in facts["effect"].values())


def test_the_effect_is_that_of_the_adapter_without_the_copies(trained: Trained) -> None:
    probed = trained()
    for module in probed.model.modules():
        if hasattr(module, "scaling"):
            module.scaling["default"] = 0.0

    facts, arrays = probe("adapter_disabled", probed)

    assert facts["effect"] == {"image": 0.0, "text": 0.0}
    assert not torch.equal(arrays["text"], logits(probed)["text"])


@pytest.mark.parametrize(("method", "options"), METHODS)
def test_at_the_start_the_adapter_changes_nothing(
    trained: Trained, base: Probed, method: Any, options: dict[str, Any]
) -> None:
    facts, arrays = probe("adapter_at_start", trained(method, **options))

    assert facts["kept"]
    assert facts["largest_difference"] == {"image": 0.0, "text": 0.0}
    assert fingerprints(arrays) == fingerprints(logits(base))


def test_one_element_that_is_not_zero_at_the_start_shows(trained: Trained) -> None:
    probed = trained()
    assert probed.first is not None
    probed.first["base_model.model.second.lora_B.default.weight"][0, 0] = 0.01

    facts, _ = probe("adapter_at_start", probed)

    assert all(value > 0 for value in facts["largest_difference"].values())


def test_a_copy_that_starts_elsewhere_shows(trained: Trained) -> None:
    probed = trained()
    assert probed.first is not None
    probed.first["base_model.model.head.modules_to_save.default.bias"][0] += 0.5

    facts, _ = probe("adapter_at_start", probed)

    assert facts["largest_difference"] == {"image": 0.5, "text": 0.5}


def test_biases_that_trained_are_put_back_for_the_start(trained: Trained) -> None:
    facts, _ = probe("adapter_at_start", trained(bias="lora_only"))

    assert facts["largest_difference"] == {"image": 0.0, "text": 0.0}


def test_values_that_were_not_kept_are_said_to_be_missing(trained: Trained) -> None:
    probed = trained()

    assert probe("adapter_at_start", Probed(probed.model, probed.batches)) == ({"kept": False}, {})


@pytest.mark.parametrize(("method", "options"), METHODS)
def test_merging_is_measured_module_by_module(trained: Trained, method: Any, options: dict[str, Any]) -> None:
    probed = trained(method, **options)
    facts, _ = probe("adapter_merged", probed)
    modules = facts["modules"]

    assert (modules["path"], modules["dtype"]) == (ADAPTED, ["float32"] * 2)
    assert modules["again"] == [0.0, 0.0]
    assert all(0 < changed < largest for changed, largest in zip(modules["changed"], modules["largest"], strict=True))
    assert all(back < 1e-6 for back in modules["back"])
    assert all(0 <= value < 1e-5 for value in facts["largest_difference"].values())
    assert facts["largest_logit"] == {name: float(value.abs().amax()) for name, value in logits(probed).items()}


def test_one_module_that_is_merged_twice_shows(trained: Trained) -> None:
    probed = trained()
    layer = probed.model.base_model.model.second
    merge = layer.merge
    layer.merge = lambda **options: (layer.merged_adapters.clear(), merge(**options))

    modules = probe("adapter_merged", probed)[0]["modules"]

    assert modules["again"] == [0.0, pytest.approx(modules["changed"][1], rel=1e-5)]
    assert max(modules["back"]) < 1e-6


def test_one_module_that_is_not_unmerged_shows(trained: Trained) -> None:
    probed = trained()
    layer = probed.model.base_model.model.second
    layer.unmerge = layer.merged_adapters.clear

    modules = probe("adapter_merged", probed)[0]["modules"]

    assert modules["back"][1] == modules["changed"][1] > 100 * modules["back"][0]


def test_a_merge_that_fails_halfway_is_recorded_and_undone(trained: Trained) -> None:
    probed = trained()

    def fails(**_: Any) -> None:
        raise ValueError("cannot\nmerge")

    probed.model.base_model.model.second.merge = fails

    assert probe("adapter_merged", probed) == ({"raised": "ValueError: cannot merge"}, {})


def test_the_trained_models_logits_are_computed_once(trained: Trained) -> None:
    probed = trained()
    passes: list[None] = []
    probed.model.base_model.model.register_forward_hook(lambda *_: passes.append(None))
    made = []

    for name in ("outputs", "other_pixels", "adapter_disabled", "adapter_at_start", "adapter_merged", "outputs"):
        before = len(passes)
        probe(name, probed)
        made.append(len(passes) - before)

    # Two batches each: off, and with the layers alone off; at the start on and off; merged.
    assert made == [2, 1, 4, 4, 2, 0]


def test_without_copies_turning_off_is_one_pass_of_each_batch(trained: Trained) -> None:
    probed = trained(modules_to_save=None)
    passes: list[None] = []
    probed.model.base_model.model.register_forward_hook(lambda *_: passes.append(None))

    probe("outputs", probed)
    facts, _ = probe("adapter_disabled", probed)

    assert len(passes) == 2 + 2
    assert all(value > 0 for value in facts["effect"].values())


def test_no_parameter_requires_a_gradient_in_any_pass(trained: Trained) -> None:
    probed = trained()
    flags: set[bool] = set()
    inner = probed.model.base_model.model
    inner.register_forward_hook(lambda *_: flags.update(p.requires_grad for p in probed.model.parameters()))

    with undisturbed(probed.model):
        for name in ("adapter_at_start", "adapter_disabled", "adapter_merged", "outputs"):
            PROBES[name](probed)

    assert flags == {False}


def test_logits_behind_a_prompt_are_compared_with_those_of_the_same_tokens() -> None:
    bare = torch.arange(6.0).reshape(1, 3, 2)
    behind_two_more = torch.cat([torch.full((1, 2, 2), 100.0), bare + 0.5], dim=1)

    assert largest({"text": behind_two_more}, {"text": bare}) == {"text": 0.5}
    assert largest({"text": bare}, {"text": behind_two_more}) == {"text": 0.5}
    assert largest({"text": behind_two_more}) == {"text": 100.0}
