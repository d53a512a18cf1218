"""What MiniMind's families take, refuse, learn and leave behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.data import SHIPPED, read_samples, select
from harness.families import check_possible, family
from harness.families.family import has_processor, reads_pictures
from harness.families.supervision import IGNORED_LABEL
from harness.recipe import Recipe
from harness.refusal import Refused

TEXT = {"data": {"mix": ["text"]}, "trust_remote_code": True}
SHOWN = {"data": {"mix": ["image"]}, "trust_remote_code": True}
FAMILIES = ("minimind-v1-small", "minimind-v2-small", "minimind-v3", "minimind-3v")


def recipe(name: str, **settings: Any) -> Recipe:
    return Recipe.model_validate({"family": name, "tune": ["all"], **(SHOWN if "3v" in name else TEXT), **settings})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (recipe("minimind-v3", data={"mix": ["image"]}), "MiniMind reads text alone"),
        (recipe("minimind-3v", data={"mix": ["image", "text"]}), "reads a picture out of every row"),
        (recipe("minimind-v1-moe"), "fp16 buffer"),
        (recipe("minimind-v1-moe", precision="bf16"), "fp16 buffer"),
        (recipe("minimind-v3", checkpointing=True), "MiniMind's code has none"),
        (
            recipe("minimind-v3-moe", agrees_with="one-batch", optimizer={"accumulation": 2, "loss_average": "token"}),
            "counted over each micro-batch by itself",
        ),
        (recipe("minimind-v3", tune=["connector"]), "no component connector"),
        (recipe("minimind-v3", tune=["lm_head"]), "no component lm_head"),
        (
            recipe("minimind-v3", tune=[], adapter={"method": "minimind-lora", "options": {"rank": 64}}),
            "rank 64 is the width of a square layer",
        ),
        (
            recipe("minimind-v3", tune=[], adapter={"method": "prefix_tuning", "options": {"task_type": "CAUSAL_LM"}}),
            "neither prompts nor past keys",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(asked: Recipe, said: str) -> None:
    with pytest.raises(Refused, match=said):
        check_possible(asked)


def test_names_of_native_files_are_for_native_saves() -> None:
    with pytest.raises(ValueError, match=r"save\.half and save\.what full"):
        recipe("minimind-v3", save={"half": True})


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_promised_of_ties_padding_and_processors(name: str) -> None:
    found = family(name)
    intent = found.intent(recipe(name))

    assert intent.ties == (found.names.tied,)
    assert intent.padding == (("right",) if "v1" in name or "v2" in name else ("left", "right"))
    assert not has_processor(found, recipe(name))
    assert reads_pictures(found) == intent.has_images == ("3v" in name)


@pytest.mark.parametrize(("copied", "tied"), [("lm_head", False), ("norm", True)])
def test_what_a_merged_stage_kept_a_copy_of_is_tied_no_more(copied: str, tied: bool) -> None:
    before = recipe("minimind-v3", tune=[], lora={"targets": ["q_proj"], "modules_to_save": [copied]})
    settings = before.model_dump(mode="json", exclude_defaults=True)
    merged = {"recipe": "before", "merge": "adapter", "settings": settings}

    intent = family("minimind-v3").intent(recipe("minimind-v3", start_from=merged))

    assert bool(intent.ties) == tied
    assert family("minimind-v3").intent(before).ties


@pytest.mark.parametrize(
    ("name", "added"), [("minimind-v1-moe", False), ("minimind-v2-moe", True), ("minimind-v3", False)]
)
def test_the_auxiliary_loss_is_promised_where_the_trainer_adds_it(name: str, added: bool) -> None:
    assert family(name).intent(recipe(name, precision="fp16")).mechanisms.auxiliary_loss == added


@pytest.fixture(scope="module", params=FAMILIES)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    import torch

    found = family(request.param)
    directory = tmp_path_factory.mktemp(request.param)
    found.write_base(directory)
    return found, found.load(directory, torch.float32)


def test_an_answer_its_end_and_the_end_of_the_line_are_learned(loaded: Any) -> None:
    found, model = loaded
    sample = select(read_samples(SHIPPED), ("image" if found.vision else "text",), 1)[0]
    encoded = found.encode(sample, model.processor, 2048)
    ids, labels = encoded["input_ids"].tolist(), encoded["labels"].tolist()
    learned = [label for label in labels if label != IGNORED_LABEL]
    places = [place for place, label in enumerate(labels) if label != IGNORED_LABEL]

    said = model.processor.tokenizer.decode(learned)
    assert said == "".join(answer.text for answer in found.answers(sample))
    assert said.endswith(f"{found.made.chat.end}\n")
    assert [ids[place + found.labels_early] for place in places] == learned
    assert labels[places[0] - 1] == IGNORED_LABEL


def test_special_tokens_come_first_and_a_picture_is_64_of_number_12(loaded: Any) -> None:
    found, model = loaded
    chat = found.made.chat

    assert model.processor.tokenizer.convert_tokens_to_ids(list(chat.special)) == list(range(len(chat.special)))
    if found.vision:
        sample = select(read_samples(SHIPPED), ("several",), 1)[0]
        encoded = found.encode(sample, model.processor, 2048)
        assert encoded["input_ids"].tolist().count(12) == 64 * len(sample.images) == 64 * len(encoded["pixel_values"])
        with pytest.raises(Refused, match=f"{64 * len(sample.images)} stand for its pictures"):
            found.encode(sample, model.processor, 100)


def test_native_files_bear_width_and_experts_and_leave_the_encoder_out(loaded: Any, tmp_path: Path) -> None:
    import torch

    from harness.saving import save
    from harness.seams import Seams

    found, model = loaded
    asked = recipe(found.name, save={"what": "native", "name": "full_sft", "half": True, "processor": False})
    save(model, model.model, asked, found.handles, tmp_path, Seams())
    state = torch.load(tmp_path / "full_sft_64.pth", weights_only=True)

    assert {tensor.dtype for tensor in state.values()} == {torch.float16}
    assert set(state) == {key for key in model.model.state_dict() if not key.startswith("vision_encoder.")}
    assert set(found.names.tied) <= set(state)
    assert family("minimind-v3-moe").handles.native_ending == "_64_moe"


def test_weights_of_more_layers_than_were_asked_for_are_not_taken_in_silence(loaded: Any) -> None:
    from harness.checkpoint.overlay import lay_over

    _, model = loaded
    state = model.model.state_dict()
    layer = next(key for key in state if "layers.2." in key and "vision" not in key)
    part = lay_over(model.model, {layer.replace("layers.2.", "layers.8."): state[layer]}, "full_sft_64.pth")

    assert part["unexpected"] == [layer.replace("layers.2.", "layers.8.")]
