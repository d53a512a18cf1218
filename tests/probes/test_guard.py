"""Whatever a probe does, the model is as it was."""

import random
from collections.abc import Callable

import peft
import pytest
import torch
from torch import nn

from harness.probes import Probed, undisturbed
from harness.probes.guard import parameters_kept

Trained = Callable[..., Probed]


def test_inside_nothing_trains_and_afterwards_everything_is_as_before(trained: Trained) -> None:
    probed = trained(lora_dropout=0.5)
    model = probed.model.train()
    model.base_model.model.words.eval()
    modes = [module.training for module in model.modules()]
    flags = [parameter.requires_grad for parameter in model.parameters()]
    seen, state = model.base_model.model.seen.clone(), torch.get_rng_state()
    random.seed(3)
    drawn = random.Random(3).random()

    with undisturbed(model):
        inside = [parameter.requires_grad for parameter in model.parameters()]
        quiet = not any(module.training for module in model.modules())
        probed.model(**probed.batches["text"])
        torch.rand(1), random.random()
        with model.disable_adapter():
            pass  # peft sets parameters to train on its way out

    assert (any(inside), quiet) == (False, True)
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(model.base_model.model.seen, seen)
    assert torch.equal(torch.get_rng_state(), state)
    assert random.random() == drawn


def test_products_of_matrices_do_not_depend_on_what_trains() -> None:
    """torch folds a product by `requires_grad`, even where no gradient is computed."""
    torch.manual_seed(0)
    layer = nn.Linear(128, 128)
    turned = torch.randn(3, 70, 128).transpose(0, 1)

    with undisturbed(layer):
        first = layer(turned)
    layer.requires_grad_(False)
    with undisturbed(layer):
        assert torch.equal(layer(turned), first)


@pytest.mark.parametrize("fails", [False, True])
def test_parameters_come_back_in_value_and_memory(trained: Trained, fails: bool) -> None:
    model = trained().model
    before = {path: (p, p.data_ptr(), p.detach().clone()) for path, p in model.named_parameters()}

    try:
        with parameters_kept(model), torch.no_grad():
            model.base_model.model.words.weight.add_(1)
            model.base_model.model.first.base_layer.weight.data = torch.zeros(8, 8)
            model.base_model.model.second.base_layer.weight = nn.Parameter(torch.ones(8, 8))
            if fails:
                raise ValueError
    except ValueError:
        assert fails

    after = dict(model.named_parameters())
    assert after.keys() == before.keys()
    for path, (parameter, memory, value) in before.items():
        assert after[path] is parameter
        assert (parameter.data_ptr(), torch.equal(parameter, value)) == (memory, True)


def test_ties_stay() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight

    with parameters_kept(model), torch.no_grad():
        model[0].weight.data = torch.zeros(2, 2)

    assert model[1].weight is model[0].weight
    assert bool(model[0].weight.any())


def test_the_installed_peft_thaws_what_it_turns_on() -> None:
    """Why the flags are kept: a frozen parameter of a copy trains after its adapter was off and on."""
    model = peft.get_peft_model(
        nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)}),
        peft.LoraConfig(target_modules=["a"], modules_to_save=["b"]),
    )
    copy = model.base_model.model["b"].modules_to_save["default"].weight.requires_grad_(False)

    with undisturbed(model), model.disable_adapter():
        pass

    assert not copy.requires_grad
