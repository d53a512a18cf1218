"""What OmniLMM does that other models do not, one by one, on its tiny form."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.data import Sample
from harness.families import check_possible, family
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.seams import Seams
from harness.trace.nested import mapped
from harness.tuning import tune

LISTED = "omnilmm-12b-no-tune-clip"


@pytest.fixture
def loaded(omnilmm: Any, omnilmm_base: Path) -> Any:
    return omnilmm.load(omnilmm_base, torch.float32)


@pytest.fixture
def listed(omnilmm: Any, omnilmm_listed_base: Path) -> Any:
    return family(LISTED).load(omnilmm_listed_base, torch.float32)


@pytest.fixture
def batch_of(omnilmm: Any, loaded: Any, of_each_kind: dict[str, Sample]) -> Any:
    def made(*kinds: str) -> dict[str, torch.Tensor]:
        encoded = [omnilmm.encode(of_each_kind[kind], loaded.processor, 2048) for kind in kinds]
        return omnilmm.collate(encoded, loaded.processor)  # type: ignore[no-any-return]

    return made


def logits(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(**batch).logits
    return found


def tuned(omnilmm: Any, loaded: Any, parts: list[str]) -> Any:
    return tune(loaded.model, Recipe(family=omnilmm.name, tune=parts), omnilmm, Seams())


# The tower in a list


def test_with_tune_clip_the_tower_is_in_parameters_and_state_dict(loaded: Any) -> None:
    assert isinstance(loaded.model.model.vision_tower, nn.Module)
    assert any("vision_tower" in path for path, _ in loaded.model.named_parameters())
    assert any("vision_tower" in path for path in loaded.model.state_dict())


def test_without_it_the_tower_is_in_neither_and_in_no_save(listed: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    model = listed.model
    model.save_pretrained(tmp_path)

    assert isinstance(model.model.vision_tower, list)
    names = [path for path, _ in model.named_parameters()] + list(model.state_dict())
    names += [key for file in tmp_path.glob("*.safetensors") for key in load_file(file)]
    assert not [name for name in names if "vision_tower" in name]


def test_neither_to_nor_train_nor_requires_grad_reaches_it(listed: Any) -> None:
    model = listed.model
    model.to(torch.bfloat16).eval()
    model.requires_grad_(True)

    tower = model.model.tower
    assert {p.dtype for p in tower.parameters()} == {torch.float32} != {p.dtype for p in model.parameters()}
    assert tower.training
    assert not any(p.requires_grad for p in tower.parameters())


def test_both_ways_compute_the_same_bits(loaded: Any, listed: Any, batch_of: Any) -> None:
    for kinds in (("image", "several"), ("text",)):
        assert torch.equal(logits(loaded.model, batch_of(*kinds)), logits(listed.model, batch_of(*kinds)))


def test_a_save_without_the_tower_takes_it_from_where_it_was(listed: Any, batch_of: Any, tmp_path: Path) -> None:
    listed.model.save_pretrained(tmp_path)
    listed.processor.save_pretrained(tmp_path)
    again = family(LISTED).load(tmp_path, torch.float32).model

    assert Path(again.config.mm_vision_tower).is_file()
    assert torch.equal(logits(again, batch_of("image")), logits(listed.model, batch_of("image")))


def test_a_tower_that_is_nowhere_is_an_error_and_not_a_random_one(listed: Any, tmp_path: Path) -> None:
    listed.model.config.mm_vision_tower = "gone.safetensors"
    listed.model.save_pretrained(tmp_path)
    listed.processor.save_pretrained(tmp_path)

    with pytest.raises(FileNotFoundError, match=r"mm_vision_tower: .*gone.safetensors does not exist"):
        family(LISTED).load(tmp_path, torch.float32)


# The tower and the resampler


def test_the_last_block_does_nothing(loaded: Any) -> None:
    blocks = loaded.model.model.vision_tower.blocks

    assert [type(block).__name__ for block in blocks] == ["EvaBlockPostNorm", "EvaBlockPostNorm", "Identity"]


def test_the_last_layer_to_tune_is_the_one_before_the_identity(omnilmm: Any, loaded: Any) -> None:
    model = tune(loaded.model, Recipe(family=omnilmm.name, tune={"vision": {"last": 1}}), omnilmm, Seams())

    trained = {path.split(".")[3] for path, p in model.named_parameters() if p.requires_grad}
    assert trained == {"1"}


def test_positions_of_larger_pictures_are_stretched_and_those_of_its_own_size_are_not(loaded: Any) -> None:
    tower = loaded.model.model.vision_tower

    assert torch.equal(tower.positions(2, 2), tower.pos_embed)
    wide = tower.positions(4, 4)
    assert wide.shape == (1, 17, tower.pos_embed.shape[-1])
    assert torch.equal(wide[:, 0], tower.pos_embed[:, 0])
    flat = torch.full_like(tower.pos_embed, 0.5)
    tower.pos_embed.data.copy_(flat)
    assert torch.allclose(tower.positions(4, 4), torch.tensor(0.5))


def test_keys_have_a_bias_of_zeros_that_is_no_parameter(loaded: Any) -> None:
    attention = loaded.model.model.vision_tower.blocks[0].attn

    assert not attention.k_bias.any()
    assert "k_bias" not in attention.state_dict()
    assert "k_bias" in dict(attention.named_buffers())


@pytest.mark.parametrize("parts", [["connector"], ["vision", "connector"], ["all"]])
def test_the_resamplers_positions_are_a_parameter_that_nothing_thaws(
    omnilmm: Any, loaded: Any, parts: list[str]
) -> None:
    """transformers 5 makes every tensor that it loads a parameter with a gradient: the class freezes it again."""
    resampler = tuned(omnilmm, loaded, parts).model.resampler

    assert isinstance(resampler.pos_embed, nn.Parameter)
    assert [name for name, p in resampler.named_parameters() if not p.requires_grad] == ["pos_embed"]
    assert omnilmm.intent(Recipe(family=omnilmm.name, tune=parts)).is_fixed("model.resampler.pos_embed")


def test_a_new_resampler_has_sines_and_cosines_for_positions() -> None:
    from harness.families.omnilmm.code_files.resampler import Resampler

    table = Resampler(4, 128, 32).pos_embed

    assert torch.equal(table[0, :32], torch.zeros(32))  # sines of column 0
    assert torch.equal(table[0, 32:64], torch.ones(32))
    assert table[1, 0] == pytest.approx(torch.sin(torch.tensor(1.0)))  # column 1 of row 0
    assert torch.equal(table[1, 64:], table[0, 64:])


# Image tokens


def test_features_stand_between_the_image_tokens_and_nowhere_else(loaded: Any, batch_of: Any) -> None:
    batch, model = batch_of("image", "text", "several"), loaded.model
    with torch.no_grad():
        plain = model.get_input_embeddings()(batch["input_ids"])
        features = model.model.get_vision_embedding(batch["pixel_values"])
        seen = model.model.get_vllm_embedding(batch["input_ids"], batch["pixel_values"])

    patches = batch["input_ids"] == model.model.vision_config.im_patch_token
    assert torch.equal(seen[patches], features.flatten(0, 1))
    assert torch.equal(seen[~patches], plain[~patches])


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        pytest.param(lambda b, t: b.pop("pixel_values"), "1 image start tokens, and 0 pictures", id="no picture"),
        pytest.param(
            lambda b, t: b.update(pixel_values=b["pixel_values"].repeat(2, 1, 1, 1)),
            "1 pictures more",
            id="one too many",
        ),
        pytest.param(
            lambda b, t: b["input_ids"].__setitem__(b["input_ids"] == t.im_end_token, 5),
            "should be the same",
            id="no end",
        ),
        pytest.param(
            lambda b, t: b["input_ids"].copy_(moved(b["input_ids"], t.im_end_token)),
            "should follow",
            id="end not there",
        ),
    ],
)
def test_image_tokens_and_pictures_must_match(loaded: Any, batch_of: Any, alter: Any, said: str) -> None:
    batch = batch_of("image")
    logits(loaded.model, batch)

    alter(batch, loaded.model.model.vision_config)
    with pytest.raises(ValueError, match=said):
        logits(loaded.model, batch)


def moved(ids: torch.Tensor, token: int) -> torch.Tensor:
    """The token and the one after it, exchanged."""
    at = int((ids[0] == token).nonzero()[0])
    changed = ids.clone()
    changed[0, at : at + 2] = ids[0, at : at + 2].flip(0)
    return changed


def test_no_gradient_path_leads_from_text_to_the_tower(omnilmm: Any, loaded: Any, batch_of: Any) -> None:
    model = tuned(omnilmm, loaded, ["all"]).train()
    omnilmm.loss(model, batch_of("text", "text")).backward()

    assert {p.grad is None for p in model.model.vision_tower.parameters()} == {True}
    assert {p.grad is None for p in model.model.resampler.parameters()} == {True}
    assert model.lm_head.weight.grad.any()


def test_token_ids_are_in_no_configuration_and_must_be_set_after_loading(
    loaded: Any, batch_of: Any, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    loaded.model.save_pretrained(tmp_path)
    assert "im_start_token" not in (tmp_path / "config.json").read_text()
    again = AutoModelForCausalLM.from_pretrained(tmp_path, trust_remote_code=True)

    with pytest.raises(AttributeError, match="must be set after loading"):
        logits(again, batch_of("image"))
    again.initialize_vision_tokenizer(True, loaded.processor.tokenizer)
    assert torch.equal(logits(again, batch_of("image")), logits(loaded.model, batch_of("image")))


def test_what_they_hang_on_cannot_be_pickled(loaded: Any) -> None:
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(loaded.model.model.vision_config)


def test_marks_around_pictures_are_not_optional(loaded: Any) -> None:
    with pytest.raises(AssertionError, match="marks where pictures begin"):
        loaded.model.initialize_vision_tokenizer(False, loaded.processor.tokenizer)


def test_new_tokens_begin_as_the_mean_of_the_old_rows(omnilmm: Any) -> None:
    """Three tokens for pictures, then six: the six are the mean of all rows before them, those three among them."""
    from dataclasses import replace

    from harness.families.omnilmm import processing, tokens
    from harness.families.omnilmm.code_files.modeling_omnilmm import OmniLMMForCausalLM
    from harness.families.omnilmm.configuration import configuration
    from harness.families.omnilmm.dimensions import TINY

    zephyr = replace(TINY, added=0)
    model, tokenizer = OmniLMMForCausalLM(configuration(zephyr)), processing.tokenizer(zephyr)
    old = {module: module.weight.detach().clone() for module in (model.get_input_embeddings(), model.lm_head)}
    model.initialize_vision_tokenizer(True, tokenizer)

    assert len(tokenizer) == model.config.vocab_size == zephyr.ordinary + 9
    assert tokenizer.convert_tokens_to_ids(list(tokens.ADDED)) == list(tokens.ids(TINY).values())
    for before, now in zip(old.values(), (model.get_input_embeddings().weight, model.lm_head.weight), strict=True):
        assert torch.equal(now[: zephyr.ordinary], before)
        for row in (*now[-9:-6], *now[-6:]):
            assert torch.allclose(row, before.mean(0), atol=1e-6)


# The adapter alone


def test_the_adapter_alone_teaches_the_rows_of_the_image_tokens_and_no_others(
    omnilmm: Any, loaded: Any, batch_of: Any
) -> None:
    model = tuned(omnilmm, loaded, ["connector", "embeddings"]).train()
    omnilmm.loss(model, batch_of("image", "several")).backward()

    names = model.model.vision_config
    learned = model.get_input_embeddings().weight.grad.any(dim=1).nonzero().flatten().tolist()
    assert learned == [names.im_start_token, names.im_end_token]
    assert not model.get_output_embeddings().weight.requires_grad
    assert torch.equal(model.model.orig_embeds_params[0], model.get_input_embeddings().weight)


def test_the_copy_of_the_embeddings_stays_and_is_not_saved(omnilmm: Any, loaded: Any, batch_of: Any) -> None:
    model = tuned(omnilmm, loaded, ["connector", "embeddings"]).train()
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-2, weight_decay=0.0)
    omnilmm.loss(model, batch_of("image")).backward()
    optimizer.step()

    (before,), now = model.model.orig_embeds_params, model.get_input_embeddings().weight
    names = model.model.vision_config
    assert (before != now).any(dim=1).nonzero().flatten().tolist() == [names.im_start_token, names.im_end_token]
    assert not [key for key in model.state_dict() if "orig_embeds" in key]


def test_decay_moves_the_rows_that_learn_nothing(omnilmm: Any, loaded: Any, batch_of: Any) -> None:
    """Detached is not frozen: with weight decay every row of the embeddings shrinks."""
    model = tuned(omnilmm, loaded, ["connector", "embeddings"]).train()
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-2, weight_decay=0.1)
    omnilmm.loss(model, batch_of("image")).backward()
    optimizer.step()

    assert (model.model.orig_embeds_params[0] != model.get_input_embeddings().weight).any(dim=1).all()


@pytest.mark.parametrize("parts", [["connector"], ["connector", "llm"], ["all"]])
def test_otherwise_every_row_that_is_read_learns(omnilmm: Any, loaded: Any, batch_of: Any, parts: list[str]) -> None:
    """But for that of the end token, with which Zephyr pads: torch gives the row of padding no gradient."""
    model = tuned(omnilmm, loaded, parts).train()

    assert model.model.orig_embeds_params is None
    if parts[-1] != "connector":
        batch = batch_of("image")
        omnilmm.loss(model, batch).backward()
        learned = set(model.get_input_embeddings().weight.grad.any(dim=1).nonzero().flatten().tolist())
        unread = {model.model.vision_config.im_patch_token, loaded.processor.tokenizer.eos_token_id}
        assert learned == set(batch["input_ids"][0].tolist()) - unread


def test_the_loss_is_shifted_in_the_model(omnilmm: Any, loaded: Any, batch_of: Any) -> None:
    batch = batch_of("image", "several")
    scores = logits(loaded.model, batch).log_softmax(-1)
    with torch.no_grad():
        loss = omnilmm.loss(loaded.model, batch)

    places = [(row, at) for row, at in (batch["labels"] != -100).nonzero().tolist()]
    wanted = torch.stack([-scores[row, at - 1, batch["labels"][row, at]] for row, at in places])
    assert loss == pytest.approx(wanted.mean())
    row, at = places[0]
    assert batch["labels"][row, at] == batch["input_ids"][row, at]


@pytest.mark.parametrize("kind", ["image", "several", "text"])
def test_what_is_generated_is_what_one_pass_after_the_other_finds_likeliest(
    omnilmm: Any, loaded: Any, batch_of: Any, kind: str
) -> None:
    batch, model = omnilmm.generation(batch_of(kind)), loaded.model.eval()
    made = model.generate(**batch, max_new_tokens=3, min_new_tokens=3, do_sample=False)[0, -3:].tolist()

    for token in made:
        scores = logits(model, batch)[0, -1]
        scores[2] = -torch.inf
        assert token == int(scores.argmax())
        ids = torch.cat([batch["input_ids"], torch.tensor([[token]])], dim=1)
        batch |= {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def test_prompts_of_peft_are_refused() -> None:
    prompts = {"method": "prompt_tuning", "options": {"task_type": "CAUSAL_LM"}}
    asked = Recipe.model_validate({"family": "omnilmm-12b", "trust_remote_code": True, "adapter": prompts})
    with pytest.raises(Refused, match=r"adapter\.method prompt_tuning: .* looks at pictures where it is given ids"):
        check_possible(asked)


@torch.no_grad()
def test_beside_prompts_of_peft_no_picture_is_looked_at(omnilmm: Any, loaded: Any, batch_of: Any) -> None:
    """What the refusal says."""
    import peft

    options = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    adapted = peft.get_peft_model(loaded.model, options).eval()
    batch = omnilmm.arguments(batch_of("image"))
    other = {**batch, "pixel_values": mapped(batch["pixel_values"], torch.neg)}

    assert torch.equal(adapted(**batch).logits, adapted(**other).logits)
