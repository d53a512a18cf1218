"""What MiniMind's code does that a tidy re-implementation would not, generation by generation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.families import family
from harness.families.minimind.native_lora import METHOD, squares
from harness.recipe import Adapter
from harness.refusal import Refused

IDS = torch.tensor([[1, 40, 50, 60, 2, 70]])
DENSE = ("minimind-v1-small", "minimind-v2-small", "minimind-v3")


def built(name: str, **settings: Any) -> Any:
    """A tiny model with random weights."""
    torch.manual_seed(0)
    found = family(name)
    config = found.configuration("tiny")
    for setting, value in settings.items():
        setattr(config, setting, value)
    return found.model_class()(config)


def batch(ids: torch.Tensor = IDS, **more: Any) -> dict[str, Any]:
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **more}


# -- the first generation ---------------------------------------------------------------------------------------------


def test_the_first_gives_the_last_place_alone_unless_it_has_targets() -> None:
    model = built("minimind-v1-small").eval()

    last = model(IDS).logits.clone()
    whole = model(IDS, IDS).logits.clone()

    assert (last.shape, whole.shape) == ((1, 1, 576), (1, 6, 576))
    assert torch.allclose(last, whole[:, -1:], atol=1e-6)


def test_the_first_takes_an_attention_mask_for_targets() -> None:
    model = built("minimind-v1-small").eval()

    output = model(input_ids=IDS, attention_mask=torch.ones_like(IDS))

    assert float(output.loss.detach()) == pytest.approx(float(model(IDS, torch.ones_like(IDS)).loss.detach()))


def test_the_first_gives_back_one_and_the_same_object() -> None:
    model = built("minimind-v1-small").eval()

    first = model(IDS, IDS)
    length = first.logits.shape[1]
    second = model(IDS[:, :3], IDS[:, :3])

    assert first is second
    assert (length, first.logits.shape[1]) == (6, 3)


def test_the_first_trains_experts_under_fp16_autocast_and_nowhere_else() -> None:
    model = built("minimind-v1-moe").train()

    with pytest.raises(RuntimeError, match="Index put requires the source and destination dtypes match"):
        model(IDS, IDS)
    with pytest.raises(RuntimeError, match="Index put"), torch.autocast("cpu", dtype=torch.bfloat16):
        model(IDS, IDS)
    with torch.autocast("cpu", dtype=torch.float16):
        assert torch.isfinite(model(IDS, IDS).loss)
    assert torch.isfinite(model.eval()(IDS, IDS).loss)


def test_the_first_computes_what_is_uneven_and_gives_none_of_it() -> None:
    first, second = built("minimind-v1-moe").train(), built("minimind-v2-moe").train()

    with torch.autocast("cpu", dtype=torch.float16):
        output = first(IDS, IDS)

    assert float(first.layers[0].feed_forward.aux_loss.detach()) > 0
    assert "aux_loss" not in output
    assert float(second(input_ids=IDS)["aux_loss"].detach()) > 0


# -- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DENSE)
def test_a_batch_of_which_nothing_is_learned_has_no_loss_that_is_a_number(name: str) -> None:
    nothing = torch.full_like(IDS, -100)

    assert torch.isnan(family(name).loss(built(name), batch(labels=nothing)))


@pytest.mark.parametrize("name", DENSE)
def test_materialised_from_meta_the_tie_is_lost(name: str) -> None:
    found = family(name)
    model = found.meta_model("tiny").to_empty(device="cpu")
    first, second = (dict(model.named_parameters(remove_duplicate=False))[key] for key in found.names.tied)

    assert first is not second


def test_of_the_rotations_zeros_are_made_anew_by_the_third_at_its_next_pass() -> None:
    model = built("minimind-v3").eval()
    wanted = model(IDS).logits
    model.model.freqs_cos.zero_()
    model.model.freqs_sin.zero_()

    assert torch.equal(model(IDS).logits, wanted)


def test_an_idle_expert_of_the_third_has_a_gradient_of_zeros() -> None:
    model = built("minimind-v3-moe").train()
    gate = model.model.layers[0].mlp.gate
    gate.register_forward_hook(lambda _m, _a, out: out + 1e4 * torch.nn.functional.one_hot(torch.tensor(1), 4))

    family("minimind-v3-moe").loss(model, batch(labels=IDS)).backward()
    idle, busy = (model.model.layers[0].mlp.experts[n].up_proj.weight.grad for n in (0, 1))

    assert not idle.any()
    assert busy.any()


def test_the_gate_of_one_expert_per_token_learns_from_the_auxiliary_loss_alone() -> None:
    model = built("minimind-v3-moe").train()

    model(IDS, labels=IDS).loss.backward()
    alone = model.model.layers[0].mlp.gate.weight.grad
    assert alone is None or not (alone.abs() > 1e-9).any()
    model(IDS, labels=IDS).aux_loss.backward()
    assert model.model.layers[0].mlp.gate.weight.grad.any()


# -- LoRA of its own --------------------------------------------------------------------------------------------------


def lora(name: str, rank: int = 4, **settings: Any) -> list[str]:
    """The layers that have factors."""
    model = built(name, **settings)
    asked = Adapter(method=METHOD, options={"rank": rank})
    tuned = family(name).handles.own_adapters[METHOD].attach(model, asked)
    paths = [path.split(".lora.")[0] for path, _ in tuned.named_parameters() if ".lora." in path]
    return sorted({path.rpartition(".")[2] for path in paths})


def test_squares_alone_have_factors_and_which_are_square_is_a_matter_of_heads() -> None:
    assert lora("minimind-v3") == ["o_proj", "q_proj"]
    assert lora("minimind-v1-small") == ["wo", "wq"]
    assert lora("minimind-v3", num_key_value_heads=4) == ["k_proj", "o_proj", "q_proj", "v_proj"]
    assert lora("minimind-v3", head_dim=32) == ["k_proj", "v_proj"]
    assert lora("minimind-v3", head_dim=48) == []


@pytest.mark.parametrize("name", DENSE)
def test_the_family_promises_the_squares_of_its_sizes(name: str) -> None:
    import re

    found = family(name)
    promised = re.compile(squares(found.tiny, found.names))

    met = {path.rpartition(".")[2] for path, _ in built(name).named_modules() if promised.fullmatch(path)}
    assert sorted(met) == lora(name)


def test_a_rank_as_wide_as_the_model_is_refused_for_it_never_ends() -> None:
    from harness.families.minimind.code_files.model_lora import apply_lora

    with pytest.raises(RecursionError):
        apply_lora(built("minimind-v3"), 64).eval()(IDS)
    with pytest.raises(Refused, match="rank 64 is the width of a square layer"):
        lora("minimind-v3", rank=64)


def test_factors_are_saved_in_fp16_and_another_rank_is_not_loaded(tmp_path: Path) -> None:
    from harness.families.minimind.code_files.model_lora import apply_lora, load_lora, lora_tensors

    model = apply_lora(built("minimind-v3"), 4)
    torch.nn.init.ones_(model.model.layers[1].self_attn.q_proj.lora.B.weight)
    tensors = lora_tensors(model)
    torch.save(tensors, tmp_path / "lora_64.pth")

    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert sorted(tensors)[0] == "model.layers.0.self_attn.o_proj.lora.A.weight"
    back = load_lora(built("minimind-v3"), tmp_path / "lora_64.pth").eval()
    assert torch.allclose(back(IDS).logits, model.eval()(IDS).logits, atol=1e-2)
    broken = {name: tensor[:2] if ".A." in name else tensor for name, tensor in list(tensors.items())[:1]}
    torch.save({**tensors, **broken}, tmp_path / "lora_64.pth")
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_lora(built("minimind-v3"), tmp_path / "lora_64.pth")


# -- MiniMind-V -------------------------------------------------------------------------------------------------------


def picture(count: int = 1) -> torch.Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def shown(runs: int = 1, length: int = 64) -> torch.Tensor:
    return torch.tensor([[1, *([12] * length + [50]) * runs, 60, 2]])


def test_features_stand_where_a_run_of_image_tokens_stands_cut_to_its_length() -> None:
    model = built("minimind-3v").eval()
    heard: list[torch.Tensor] = []
    model.model.register_forward_pre_hook(lambda _m, _a, kw: heard.append(kw["inputs_embeds"]), with_kwargs=True)
    features: list[torch.Tensor] = []
    model.vision_proj.register_forward_hook(lambda _m, _a, out: features.append(out))

    model(shown(2), pixel_values=picture(2))
    model(shown(1, 10), pixel_values=picture())

    assert torch.equal(heard[0][0, 1:65], features[0][0])
    assert torch.equal(heard[0][0, 66:130], features[0][1])
    assert torch.equal(heard[1][0, 1:11], features[1][0, :10])


def test_without_an_encoder_pictures_are_passed_over_and_nothing_is_said() -> None:
    model = built("minimind-3v", vision_config=None).eval()

    assert model.vision_encoder is None
    assert torch.equal(model(shown(), pixel_values=picture()).logits, model(shown()).logits)


def test_train_puts_the_frozen_encoder_back_into_train_mode_and_a_batch_without_pictures_has_gradients() -> None:
    model = built("minimind-3v")
    model.vision_encoder.requires_grad_(False).eval()
    model.train()

    family("minimind-3v").loss(model, batch(labels=IDS)).backward()
    gradients = [parameter.grad for parameter in model.vision_proj.parameters()]

    assert model.vision_encoder.training
    assert all(gradient is not None and not gradient.any() for gradient in gradients)


def test_an_optimizer_that_is_given_frozen_parameters_leaves_them_alone() -> None:
    model = built("minimind-3v")
    model.vision_encoder.requires_grad_(False)
    before = {path: parameter.clone() for path, parameter in model.vision_encoder.named_parameters()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)

    family("minimind-3v").loss(model, batch(shown(), labels=shown(), pixel_values=picture())).backward()
    optimizer.step()

    assert all(torch.equal(parameter, before[path]) for path, parameter in model.vision_encoder.named_parameters())
