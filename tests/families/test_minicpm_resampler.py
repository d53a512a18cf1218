"""The resampler: its table of positions is no weight and not torch's to make, and grows with the pictures."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from harness.families.minicpm.code_files.modeling_minicpmv import MiniCPMV
from harness.families.minicpm.code_files.resampler import Resampler
from harness.families.minicpm.configuration import configuration
from harness.families.minicpm.dimensions import TINY


def made(**changed: int) -> Resampler:
    options = {"num_queries": 4, "embed_dim": 128, "kv_dim": 32, "table_side": 3, **changed}
    return Resampler(**options)


def expected(row: int, column: int, width: int) -> list[float]:
    """Sines then cosines of the column, sines then cosines of the row, each over a quarter of the channels."""
    steps = [10000 ** (-4 * k / width) for k in range(width // 4)]
    return [wave(place * step) for place in (column, row) for wave in (math.sin, math.cos) for step in steps]


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 2), (2, 0)])
def test_the_table_is_of_sines_and_cosines_of_column_and_row(row: int, column: int) -> None:
    assert made().pos_embed[row, column].tolist() == pytest.approx(expected(row, column, 128), abs=1e-6)


def test_the_table_is_a_real_tensor_even_where_everything_is_made_on_the_meta_device() -> None:
    with torch.device("meta"):
        resampler = made()

    assert {parameter.device.type for parameter in resampler.parameters()} == {"meta"}
    assert resampler.pos_embed.device.type == "cpu"
    assert torch.equal(resampler.pos_embed, made().pos_embed)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_loaded_model_has_the_table_in_full_precision_and_saves_none(
    minicpm: Any, minicpm_base: Any, dtype: torch.dtype
) -> None:
    """The library empties buffers that are in no checkpoint when it loads one: the model fills them again."""
    model = minicpm.load(minicpm_base, dtype).model

    side = TINY.vision_image // TINY.patch
    assert model.resampler.pos_embed.dtype == torch.float32
    assert torch.equal(model.resampler.pos_embed, made(table_side=side).pos_embed)
    assert "resampler.pos_embed" in dict(model.named_buffers())
    assert "resampler.pos_embed" not in model.state_dict()


def test_it_grows_with_a_picture_that_has_more_patches_than_it_holds() -> None:
    resampler = made()
    held = resampler.pos_embed.clone()

    resampler(torch.randn(2, 10, 32), torch.tensor([[2, 2], [2, 5]]))

    assert resampler.pos_embed.shape == (3, 5, 128)
    assert torch.equal(resampler.pos_embed[:, :3], held)
    assert "pos_embed" not in resampler.state_dict()
    resampler(torch.randn(1, 4, 32), torch.tensor([[4, 1]]))
    assert resampler.pos_embed.shape == (4, 5, 128)


def test_patches_beyond_a_pictures_own_are_not_attended_to() -> None:
    torch.manual_seed(0)
    resampler, patches = made(), torch.randn(2, 6, 32)
    torch.nn.init.normal_(resampler.query)
    sizes = torch.tensor([[2, 2], [2, 3]])

    first = resampler(patches, sizes)
    patches[0, 4:] = 100.0
    assert torch.equal(resampler(patches, sizes), first)
    patches[0, 3] = 100.0
    assert not torch.equal(resampler(patches, sizes)[0], first[0])


def test_a_head_has_128_channels_so_that_no_smaller_model_exists() -> None:
    assert made(embed_dim=256).attn.num_heads == 2
    with pytest.raises((ValueError, ZeroDivisionError)):
        made(embed_dim=64)


def test_queries_are_zeros_until_a_checkpoint_fills_them(minicpm_loaded: Any) -> None:
    config = configuration(TINY)
    fresh = MiniCPMV(config)

    assert not fresh.resampler.query.any()
    assert fresh.resampler.proj.any()
    assert minicpm_loaded.model.resampler.query.all()


@pytest.mark.parametrize("pictures", [1, 3])
def test_the_bits_of_its_features_do_not_depend_on_what_trains(pictures: int) -> None:
    """A saved model, loaded with nothing frozen, must give what the trained one gave."""
    torch.manual_seed(0)
    resampler, patches = made(kv_dim=64), torch.randn(pictures, 35, 64)
    torch.nn.init.normal_(resampler.query)
    sizes = torch.tensor([[5, 7]] * pictures)

    with torch.no_grad():
        training = resampler(patches, sizes)
        for parameter in resampler.parameters():
            parameter.requires_grad_(False)
            assert torch.equal(resampler(patches, sizes), training)
