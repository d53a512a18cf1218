"""What is particular about Mini-Gemini's two towers, its mined patches and its language models."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import gelu, interpolate, layer_norm

from harness.families.mini_gemini.code_files import convnext
from harness.families.mini_gemini.code_files.modeling_mini_gemini import IMAGE_TOKEN_INDEX
from harness.recipe import Recipe

SIDE, CELL = 5, 4  # of tiny pictures: patches along a side, and finer features along a patch
MEMBERS = ("2b", "7b", "8x7b", "7b-hd")


def parts(mini_gemini: Any, member: str = "7b") -> Any:
    return mini_gemini.loaded(member).model.eval().model


def pictures(count: int, side: int) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(count, 3, side, side)


# Which patches mine where


def mined_one_by_one(model: Any, patches: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
    """The same, patch by patch and with nothing but vectors."""
    found = torch.zeros_like(patches)
    for number, row, column in ((n, r, c) for n in range(len(patches)) for r in range(SIDE) for c in range(SIDE)):
        rows, columns = (slice(CELL * place, CELL * (place + 1)) for place in (row, column))
        cells = fine[number, :, rows, columns].reshape(fine.shape[1], -1).T
        asked = model.vlm_uni_query_projector(patches[number, row * SIDE + column])
        scores = (
            torch.stack([(model.vlm_uni_aux_projector(cell) * asked).sum() for cell in cells]) / asked.numel() ** 0.5
        )
        values = torch.stack([model.vlm_uni_val_projector(cell) for cell in cells])
        found[number, row * SIDE + column] = (scores.softmax(0)[:, None] * values).sum(0)
    return patches + found


@torch.no_grad()
def test_each_patch_asks_the_finer_features_of_its_own_place(mini_gemini: Any) -> None:
    model = parts(mini_gemini)
    patches, fine = torch.randn(2, SIDE**2, 64), torch.randn(2, 80, SIDE * CELL, SIDE * CELL)

    mined = model._mined(patches, fine)
    assert torch.allclose(mined, mined_one_by_one(model, patches, fine), atol=1e-5)

    fine[1, :, 2 * CELL + 1, 3 * CELL + 2] += 1  # in the patch of row 2 and column 3
    moved = (model._mined(patches, fine) != mined).any(-1).nonzero().tolist()
    assert moved == [[1, 2 * SIDE + 3]]


@torch.no_grad()
def test_the_second_tower_gives_the_features_of_all_its_stages_at_the_side_of_the_first(mini_gemini: Any) -> None:
    tower = parts(mini_gemini).vision_tower_aux
    seen = tower(pictures(1, 80))

    assert seen.shape == (1, 8 + 16 + 24 + 32, 20, 20)
    first = tower.vision_stages[0](tower.vision_stem(pictures(1, 80)))
    assert torch.equal(seen[:, :8], first)
    last = tower.vision_stages[1:](first)
    assert last.shape == (1, 32, 2, 2)
    assert torch.allclose(seen[:, -32:], interpolate(last, size=(20, 20), mode="bilinear"), atol=1e-6)


@torch.no_grad()
def test_a_block_is_that_of_the_library_under_other_names() -> None:
    transformers = pytest.importorskip("transformers.models.convnext.modeling_convnext")
    config = transformers.ConvNextConfig(layer_scale_init_value=1.0)
    theirs, ours = transformers.ConvNextLayer(config, dim=8).eval(), convnext.Block(8, drop_path=0.0).eval()
    names = {"conv_dw": "dwconv", "norm": "layernorm", "mlp.fc1": "pwconv1", "mlp.fc2": "pwconv2"}
    for name, other in names.items():
        ours.get_submodule(name).load_state_dict(theirs.get_submodule(other).state_dict())
    ours.gamma.copy_(theirs.layer_scale_parameter)
    pixels = torch.randn(2, 8, 9, 9)

    assert torch.allclose(ours(pixels), theirs(pixels), atol=1e-5)


@torch.no_grad()
def test_the_stem_is_four_by_four_pixels_and_a_norm_over_channels() -> None:
    stem, pixels = convnext.stem(6), torch.randn(1, 3, 8, 8)
    by_hand = nn.functional.conv2d(pixels, stem[0].weight, stem[0].bias, stride=4).permute(0, 2, 3, 1)

    assert torch.allclose(stem(pixels), layer_norm(by_hand, (6,), eps=1e-6).permute(0, 3, 1, 2), atol=1e-6)
    assert isinstance(convnext.Mlp(6).act, nn.GELU)
    assert torch.equal(convnext.Mlp(6).act(pixels), gelu(pixels))


@torch.no_grad()
def test_of_a_picture_that_is_cut_the_whole_comes_before_its_parts(mini_gemini: Any) -> None:
    """To the towers it comes after them."""
    model = parts(mini_gemini, "7b-hd")
    given: list[torch.Tensor] = []
    views = torch.arange(5.0)[:, None, None].expand(5, SIDE**2, 64)
    hooks = [
        model.vision_tower.register_forward_hook(lambda *_: views.clone()),
        model.vlm_uni_val_projector.register_forward_hook(lambda _m, _a, out: out * 0),
        model.mm_projector.register_forward_pre_hook(lambda _m, args: given.append(args[0])),
    ]
    features = model.image_features(torch.zeros(1, 5, 3, 20, 20), pictures(1, 160))
    for hook in hooks:
        hook.remove()

    assert features.shape == (1, 125, 64)
    assert given[0][0, :, 0].view(5, SIDE**2)[:, 0].tolist() == [4, 0, 1, 2, 3]


@torch.no_grad()
def test_each_part_of_a_picture_mines_in_its_own_part_of_the_finer_features(mini_gemini: Any) -> None:
    model = parts(mini_gemini, "7b-hd")
    fine = torch.zeros(1, 2, 40, 40)
    fine[0, 0, 20:, :20] = 1  # the part below on the left
    top_left, top_right, below_left, below_right, whole = model._fine_of_views(fine, 2, True)

    assert below_left[0].eq(1).all()
    assert not any(part.any() for part in (top_left, top_right, below_right))
    assert whole.shape == (2, 20, 20)
    assert whole[0, 10:, :10].eq(1).all()


# Stochastic depth


@pytest.mark.parametrize(("scale", "shows"), [(1.0, True), (1e-6, False)])
@torch.no_grad()
def test_stochastic_depth_is_at_work_in_a_frozen_tower_and_a_small_scale_hides_it(scale: float, shows: bool) -> None:
    torch.manual_seed(0)
    stages = convnext.stages((8, 16), (2, 3), drop_path=0.5).train().requires_grad_(False)
    for name, parameter in stages.named_parameters():
        if name.endswith("gamma"):
            parameter.fill_(scale)
    pixels = torch.randn(4, 8, 8, 8)
    apart = max(float((stages(pixels) - stages(pixels)).abs().amax()) for _ in range(20))

    assert (apart > 0.1) == shows
    assert apart > 0
    assert torch.equal(stages.eval()(pixels), stages(pixels))


def test_stochastic_depth_rises_from_block_to_block_and_is_off_in_the_base(mini_gemini: Any) -> None:
    rates = [block.drop_path.drop_prob for stage in convnext.stages((4, 4), (2, 3), 0.4) for block in stage.blocks]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])

    tower = parts(mini_gemini).vision_tower_aux
    assert {block.drop_path.drop_prob for stage in tower.vision_stages for block in stage.blocks} == {0.0}


# Gradients


def with_gradients(mini_gemini: Any, member: str, *kinds: str) -> dict[str, torch.Tensor | None]:
    """By canonical key what gradient a batch gives each parameter, where all train."""
    chosen, loaded = mini_gemini.family(member), mini_gemini.fresh(member)
    chosen.loss(loaded.model.train(), mini_gemini.batch(member, *kinds)).backward()
    return {chosen.naming.canonical(path): parameter.grad for path, parameter in loaded.model.named_parameters()}


@pytest.mark.parametrize("member", MEMBERS)
def test_a_gradient_reaches_exactly_what_the_intent_says(member: str, mini_gemini: Any) -> None:
    """All but CLIP's last layer and its last norm, for the layer before feeds the rest."""
    intent = mini_gemini.family(member).intent(
        Recipe.model_validate({"family": f"mini-gemini-{member}", "tune": "all", "data": {"mix": ["image"]}})
    )
    gradients = with_gradients(mini_gemini, member, "image", "blank", "image")
    unreached = {key for key, gradient in gradients.items() if gradient is None or not gradient.any()}

    assert unreached == {key for key in gradients if not intent.reaches(key)}
    tower = "model.vision_tower.vision_tower.vision_model"
    assert {key.rpartition(".layers.")[2][:2] for key in unreached if ".layers." in key} == {"3."}
    assert {key for key in unreached if ".layers." not in key} == {
        f"{tower}.post_layernorm.weight",
        f"{tower}.post_layernorm.bias",
    }
    assert len(unreached) == 18


@pytest.mark.parametrize("member", ["7b", "7b-hd"])
def test_text_alone_comes_with_a_picture_of_zeros_and_gradients_that_are_exactly_zero(
    member: str, mini_gemini: Any
) -> None:
    batch = mini_gemini.batch(member, "text", "text")
    assert len(batch["pixel_values"]) == 2
    assert not batch["pixel_values"].any()
    assert not batch["pixel_values_aux"].any()
    assert not (batch["input_ids"] == IMAGE_TOKEN_INDEX).any()

    gradients = with_gradients(mini_gemini, member, "text", "text")
    ours = [key for key in gradients if key.startswith(("model.mm_projector.", "model.vlm_uni_"))]
    assert len(ours) == 16
    for key in ours:
        assert gradients[key] is not None, key
        assert not gradients[key].any(), key


@pytest.mark.parametrize("tower", ["vision_tower", "vision_tower_aux"])
def test_a_tower_in_which_nothing_trains_is_run_without_gradient(tower: str, mini_gemini: Any) -> None:
    model = getattr(mini_gemini.fresh("7b").model.model, tower)
    pixels = pictures(1, 20 if tower == "vision_tower" else 80)
    assert model(pixels).requires_grad
    model.is_optimize = False
    assert not model(pixels).requires_grad
    model.is_optimize = None
    model.requires_grad_(False)
    assert not model(pixels).requires_grad


# What cannot work


@pytest.mark.parametrize("member", ["7b", "7b-hd"])
def test_a_size_that_is_no_whole_number_of_cells_is_refused(member: str, mini_gemini: Any) -> None:
    """The published default of 320 is one, beside the published CLIP."""
    from harness.families.mini_gemini.configuration import configuration

    chosen = mini_gemini.family(member)
    config = configuration(chosen.dimensions("full"), chosen.template.tokens.ids)
    config.refuse_what_cannot_work()

    config.image_size_aux = type(config)().image_size_aux
    with pytest.raises(ValueError, match="image_size_aux 320 and a CLIP tower of 24 patches") as refused:
        config.refuse_what_cannot_work()
    assert str(refused.value).endswith(f"set image_size_aux to a multiple of {96 * config.image_grid}")


@pytest.mark.parametrize("kind", ["linear", "identity"])
def test_a_projector_that_is_no_sequence_is_refused(kind: str, mini_gemini: Any) -> None:
    from harness.families.mini_gemini.configuration import configuration

    chosen = mini_gemini.family("7b")
    config = configuration(chosen.dimensions("tiny"), chosen.template.tokens.ids)
    assert type(config)().mm_projector_type == "linear"  # the published default is one of them
    config.mm_projector_type = kind

    with (
        pytest.raises(ValueError, match=f"mm_projector_type {kind}: .*set mm_projector_type: mlp2x_gelu"),
        torch.device("meta"),
    ):
        type(mini_gemini.loaded("7b").model)(config)


@torch.no_grad()
def test_pictures_that_no_places_are_held_for_are_refused(mini_gemini: Any) -> None:
    chosen, model = mini_gemini.family("7b"), mini_gemini.loaded("7b").model.eval()
    arguments = chosen.arguments(mini_gemini.batch("7b", "image", "text"))
    arguments.pop("labels")
    model(**arguments)

    with pytest.raises(ValueError, match=r"3 pictures of 25 features each, and rows that hold places for \[25, 0\]"):
        model(**{**arguments, "images": pictures(3, 20), "images_aux": pictures(3, 80)})
    fewer = arguments["input_ids"].clone()
    fewer[0, (fewer[0] == IMAGE_TOKEN_INDEX).nonzero()[0]] = 5
    with pytest.raises(ValueError, match=r"hold places for \[24, 0\]"):
        model(**{**arguments, "input_ids": fewer})


# Language models


def test_over_gemma_the_output_layer_is_the_embeddings_and_over_others_it_is_not(mini_gemini: Any) -> None:
    for member in MEMBERS:
        model = mini_gemini.loaded(member).model
        shared = model.lm_head.weight is model.model.embed_tokens.weight
        assert shared == (member == "2b")


@torch.no_grad()
def test_the_experts_are_those_of_the_library(mini_gemini: Any) -> None:
    library = pytest.importorskip("transformers.models.mixtral.modeling_mixtral")
    if not hasattr(library, "MixtralExperts"):
        pytest.skip("this release holds experts one by one")
    model = mini_gemini.loaded("8x7b").model
    ours, theirs = model.model.layers[0].block_sparse_moe, library.MixtralSparseMoeBlock(model.config)
    theirs.gate.weight.copy_(ours.gate.weight)
    for number, expert in enumerate(ours.experts):
        theirs.experts.gate_up_proj[number] = torch.cat([expert.w1.weight, expert.w3.weight])
        theirs.experts.down_proj[number] = expert.w2.weight
    tokens = torch.randn(2, 7, 64)

    assert torch.allclose(ours(tokens), theirs(tokens), atol=1e-5)


@torch.no_grad()
def test_each_token_goes_to_two_experts_of_which_none_is_idle(mini_gemini: Any) -> None:
    model, seen = mini_gemini.loaded("8x7b").model.eval(), []
    experts = model.model.layers[0].block_sparse_moe.experts
    hooks = [expert.register_forward_hook(lambda _m, args, _o: seen.append(len(args[0]))) for expert in experts]
    arguments = mini_gemini.family("8x7b").arguments(mini_gemini.batch("8x7b", "image", "text"))
    model(**arguments)
    for hook in hooks:
        hook.remove()

    assert len(seen) == 4
    assert sum(seen) == 2 * arguments["input_ids"].numel()
    assert min(seen) > 0


@pytest.mark.parametrize("member", MEMBERS)
@torch.no_grad()
def test_text_needs_no_picture(member: str, mini_gemini: Any) -> None:
    """What a picture of zeros adds to text is nothing, in evaluation as in training."""
    model = mini_gemini.loaded(member).model
    arguments = mini_gemini.family(member).arguments(mini_gemini.batch(member, "text"))
    arguments.pop("labels")
    alone = {name: value for name, value in arguments.items() if not name.startswith("images")}

    for mode in (model.train(), model.eval()):
        assert torch.equal(mode(**arguments).logits, mode(**alone).logits)


@pytest.mark.parametrize("member", MEMBERS)
@torch.no_grad()
def test_what_is_generated_are_new_ids_alone(member: str, mini_gemini: Any) -> None:
    model, chosen = mini_gemini.loaded(member).model.eval(), mini_gemini.family(member)
    for kind in ("image", "text"):
        ids = model.generate(**chosen.generation(mini_gemini.batch(member, kind)), max_new_tokens=3, do_sample=False)
        assert ids.shape[0] == 1
        assert 1 <= ids.shape[1] <= 3
