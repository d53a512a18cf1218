"""What sets MiniCPM-V apart: one dict in, no attention mask, features written in place, zeros for text alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from harness import stack
from harness.data import Sample
from harness.families.minicpm.code_files.modeling_minicpmv import MiniCPMV
from harness.families.minicpm.configuration import configuration
from harness.families.minicpm.dimensions import TINY
from harness.recipe import Recipe
from harness.seams import Seams
from harness.tuning import tune

EMBEDDINGS = "llm.model.embed_tokens.weight"


@pytest.fixture
def model(minicpm: Any, minicpm_base: Any) -> Any:
    """A model of the test's own."""
    return minicpm.load(minicpm_base, torch.float32).model


@pytest.fixture(scope="module")
def batch_of(minicpm: Any, minicpm_loaded: Any, of_each_kind: dict[str, Sample]) -> Any:
    def batch(*kinds: str) -> dict[str, Any]:
        processor = minicpm_loaded.processor
        made = minicpm.collate([minicpm.encode(of_each_kind[kind], processor, 2048) for kind in kinds], processor)
        assert isinstance(made, dict)
        return made

    return batch


def seen_by(module: nn.Module) -> list[tuple[Any, dict[str, Any], Any]]:
    """What a module is given and gives from now on."""
    calls: list[tuple[Any, dict[str, Any], Any]] = []
    module.register_forward_hook(lambda _, args, kwargs, out: calls.append((args, kwargs, out)), with_kwargs=True)
    return calls


def test_the_attention_mask_is_not_looked_at_and_positions_are(minicpm: Any, model: Any, batch_of: Any) -> None:
    data = minicpm.arguments(batch_of("image", "several"))["data"]
    given = seen_by(model.llm)

    with torch.no_grad():
        logits = model.eval()(data, use_cache=False).logits
        masked = model(data | {"attention_mask": torch.zeros_like(data["attention_mask"])}, use_cache=False).logits
        moved = model(data | {"position_ids": 2 * data["position_ids"]}, use_cache=False).logits

    assert torch.equal(logits, masked)
    assert not torch.allclose(logits, moved)
    assert "attention_mask" not in given[0][1]
    assert given[0][1]["input_ids"] is None


def test_padding_on_the_right_changes_nothing_before_it(minicpm: Any, model: Any, batch_of: Any) -> None:
    alone, beside = (minicpm.arguments(batch_of(*kinds))["data"] for kinds in (("image",), ("image", "several")))
    with torch.no_grad():
        first, second = (model.eval()(data, use_cache=False).logits for data in (alone, beside))

    assert beside["input_ids"].shape[1] > alone["input_ids"].shape[1]
    assert torch.allclose(first[0], second[0, : first.shape[1]], atol=1e-5)


def test_to_the_tower_a_picture_is_one_row_padded_to_the_longest(minicpm: Any, model: Any, batch_of: Any) -> None:
    batch = batch_of("image", "several")
    sizes = torch.vstack(batch["tgt_sizes"])
    patches = sizes.prod(1)
    given = seen_by(model.vpm)

    minicpm.loss(model.train(), batch).backward()

    (((pixels,), kwargs, _),) = given
    mask = kwargs["patch_attention_mask"]
    assert pixels.shape == (len(sizes), 3, TINY.patch, TINY.patch * patches.max())
    assert mask.shape == (len(sizes), 1, patches.max())
    assert torch.equal(mask.sum(dim=(1, 2)), patches)
    assert patches.min() < patches.max()
    first = sizes[0].prod()
    assert torch.equal(pixels[0, :, :, : TINY.patch * first], batch["pixel_values"][0][0])
    assert not pixels[patches.argmin(), :, :, TINY.patch * patches.min() :].any()
    # So that only the first row of the tower's own table of positions is ever read.
    moved = model.vpm.embeddings.position_embedding.weight.grad.any(dim=1).nonzero().flatten()
    assert moved.tolist() == list(range(TINY.vision_image // TINY.patch))


def test_pictures_do_not_see_each_other_whether_they_go_through_together_or_not(
    minicpm: Any, model: Any, batch_of: Any
) -> None:
    data = minicpm.arguments(batch_of("image", "several"))["data"]
    given = seen_by(model.vpm)
    with torch.no_grad():
        together = model.eval()(data, use_cache=False).logits
        model.config.batch_vision_input = False
        one_by_one = model(data, use_cache=False).logits

    pictures = sum(len(sample) for sample in data["pixel_values"])
    assert len(given) == 1 + pictures > 2
    assert torch.allclose(together, one_by_one, atol=1e-5)


def test_features_stand_in_the_embeddings_exactly_where_the_bounds_say(minicpm: Any, model: Any, batch_of: Any) -> None:
    batch = batch_of("image", "several")
    written, features = seen_by(model.llm), seen_by(model.resampler)
    with torch.no_grad():
        model.eval()(**minicpm.arguments(batch))
        plain = model.get_input_embeddings()(batch["input_ids"])

    embeddings, (rows,) = written[0][1]["inputs_embeds"], [out for _, _, out in features]
    bounds = [(number, start, end) for number, b in enumerate(batch["image_bound"]) for start, end in b.tolist()]
    assert len(bounds) == len(rows)
    for row, (number, start, end) in zip(rows, bounds, strict=True):
        assert torch.equal(embeddings[number, start:end], row)
        plain[number, start:end] = row
    assert torch.equal(embeddings, plain)


def test_a_batch_that_mixes_text_and_images_fails(minicpm: Any, model: Any, batch_of: Any) -> None:
    with pytest.raises(TypeError, match="list"):
        model(**minicpm.arguments(batch_of("image", "text")))


def test_text_alone_gives_tower_and_resampler_zeros_and_not_none(minicpm: Any, model: Any, batch_of: Any) -> None:
    given = seen_by(model.vpm)

    minicpm.loss(model.train(), batch_of("text", "text")).backward()

    side = TINY.resolution
    assert [args[0].shape for args, _, _ in given] == [(1, 3, side, side)]
    for path, parameter in model.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.any() == path.startswith("llm."), path


def test_the_empty_picture_is_the_published_one_where_slices_are_as_large(
    minicpm: Any, model: Any, batch_of: Any
) -> None:
    model.config.image_size = 448
    given = seen_by(model.vpm)

    minicpm.loss(model.train(), batch_of("text"))

    assert [args[0].shape for args, _, _ in given] == [(1, 3, 224, 224)]


def test_text_alone_leaves_the_tower_in_peace_where_nothing_trains(minicpm: Any, model: Any, batch_of: Any) -> None:
    given = seen_by(model.vpm)

    with torch.no_grad():
        model.eval()(**minicpm.arguments(batch_of("text")))

    assert given == []


@pytest.mark.parametrize("kinds", [("image",), ("text",)])
def test_frozen_embeddings_whose_output_must_have_a_gradient_cannot_be_written_into(
    minicpm: Any, model: Any, batch_of: Any, kinds: tuple[str, ...]
) -> None:
    """What checkpointing asks for, and why the published script trains the embeddings beside LoRA."""
    model.train().enable_input_require_grads()
    minicpm.loss(model, batch_of(*kinds)).backward()

    model.get_input_embeddings().requires_grad_(False)
    with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad is being used in an in-place"):
        minicpm.loss(model, batch_of(*kinds))


@pytest.mark.parametrize("embeddings", [True, False])
def test_checkpointing_beside_lora_works_exactly_with_trained_embeddings(
    minicpm: Any, model: Any, batch_of: Any, embeddings: bool
) -> None:
    recipe = Recipe.model_validate(
        {
            "family": minicpm.name,
            "tune": ["connector", "embeddings"] if embeddings else ["connector"],
            "lora": {"rank": 4, "targets": r"llm\..*\.(q_proj|v_proj)"},
            "checkpointing": True,
            "data": {"mix": ["image"]},
        }
    )
    tuned = tune(model, recipe, minicpm, Seams()).train()

    if embeddings:
        minicpm.loss(tuned, batch_of("image")).backward()
    elif stack.release("transformers") >= (5, 0):  # earlier ones ask for a gradient only where they know of the adapter
        with pytest.raises(RuntimeError, match="a view of a leaf Variable"):
            minicpm.loss(tuned, batch_of("image"))


def test_the_loss_is_of_labels_that_are_already_shifted(minicpm: Any, model: Any, batch_of: Any) -> None:
    batch = batch_of("image", "several")
    with torch.no_grad():
        scores = model.eval()(**minicpm.arguments(batch)).logits.log_softmax(-1)
        loss = minicpm.loss(model, batch)

    places = (batch["labels"] != -100).nonzero().tolist()
    wanted = [-scores[row, at, batch["labels"][row, at]] for row, at in places]
    assert loss == pytest.approx(torch.stack(wanted).mean())
    row, at = places[0]
    assert batch["labels"][row, at] == batch["input_ids"][row, at + 1]


@pytest.mark.parametrize("kind", ["image", "several", "text"])
def test_what_is_generated_is_what_one_pass_after_the_other_finds_likeliest(
    minicpm: Any, model: Any, batch_of: Any, kind: str
) -> None:
    batch = batch_of(kind)
    made = model.eval().generate(**minicpm.generation(batch), max_new_tokens=4, min_new_tokens=4, do_sample=False)
    again = model.generate(**minicpm.generation(batch), max_new_tokens=4, min_new_tokens=4, do_sample=False)

    assert torch.equal(made, again)
    assert made.shape == (1, 4)
    ends = model.generation_config.eos_token_id
    for token in made[0].tolist():
        with torch.no_grad():
            logits = model(**minicpm.arguments(batch)).logits[0, -1]
        logits[ends] = -math.inf
        assert token == logits.argmax()
        ids = torch.cat([batch["input_ids"], torch.tensor([[token]])], dim=1)
        batch |= {"input_ids": ids, "position_ids": torch.arange(ids.shape[1])[None]}


def test_it_generates_through_an_adapter(minicpm: Any, model: Any, batch_of: Any) -> None:
    from peft import LoraConfig, get_peft_model

    options = {**minicpm.generation(batch_of("image")), "max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False}
    before = model.eval().generate(**options)
    targets = r"llm\..*layers\.\d+\.self_attn\.(q_proj|k_proj|v_proj)"
    tuned = get_peft_model(model, LoraConfig(target_modules=targets, modules_to_save=["embed_tokens", "resampler"]))

    assert torch.equal(tuned.eval().generate(**options), before)
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=3.0)
    assert not torch.equal(tuned.generate(**options), before)


def test_the_embeddings_are_reached_set_and_resized_where_they_are(minicpm: Any, model: Any) -> None:
    other = nn.Embedding(TINY.vocabulary, TINY.hidden)
    model.set_input_embeddings(other)
    assert model.llm.model.embed_tokens is model.get_input_embeddings() is other
    assert model.get_output_embeddings() is model.llm.lm_head

    model.resize_token_embeddings(TINY.vocabulary + 3)
    assert model.llm.model.embed_tokens.weight.shape == (TINY.vocabulary + 3, TINY.hidden)
    assert model.llm.lm_head.weight.shape == (TINY.vocabulary + 3, TINY.hidden)
    assert model.config.vocab_size == model.llm.config.vocab_size == TINY.vocabulary + 3
    assert set(model.state_dict()) == set(minicpm.meta_model("tiny").state_dict())


def test_the_last_layer_of_the_tower_is_read_and_can_be_dropped() -> None:
    config = configuration(TINY)
    assert not config.drop_vision_last_layer
    config.drop_vision_last_layer = True

    with torch.device("meta"):
        assert len(MiniCPMV(config).vpm.encoder.layers) == TINY.vision_layers - 1
