"""Probes of padding, of company and of pictures' features, on a model that is given embeddings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from harness.probes import PROBES, Feeding, Probed, undisturbed

WIDTH, WORDS, IMAGE = 8, 6, 5


class Language(nn.Module):
    """Every place sees the mean of those before it that are not masked, and itself."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(WIDTH, WORDS)

    def forward(self, inputs_embeds: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        seen = inputs_embeds * attention_mask[..., None]
        return self.head(seen.cumsum(1) / attention_mask.cumsum(1).clamp(min=1)[..., None])


class Reader(nn.Module):
    """Words and pictures of two features each."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.connector = nn.Linear(WIDTH, WIDTH)
        self.language = Language()

    def forward(self, input_ids: Any, attention_mask: Any, pixel_values: Any = None) -> dict[str, torch.Tensor]:
        embeddings = self.words(input_ids)
        if pixel_values is not None:
            places = (input_ids == IMAGE)[..., None]
            embeddings = embeddings.masked_scatter(places, self.connector(pixel_values))
        return {"logits": self.language(inputs_embeds=embeddings, attention_mask=attention_mask)}


def padded(batch: dict[str, Any], side: str) -> dict[str, Any]:
    where = (3, 0) if side == "left" else (0, 3)
    rows = {name: nn.functional.pad(batch[name], where) for name in ("input_ids", "attention_mask")}
    return {**batch, **rows}


def batch(rows: list[list[int]], pictures: torch.Tensor | None = None) -> dict[str, Any]:
    length = max(map(len, rows))
    ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": mask, **({} if pictures is None else {"pixel_values": pictures})}


@pytest.fixture
def probed() -> Probed:
    torch.manual_seed(0)
    first, others = torch.randn(1, 2, WIDTH), torch.randn(2, 2, WIDTH)
    image, text, several = [1, IMAGE, IMAGE, 2], [3, 4], [IMAGE, IMAGE, 1, IMAGE, IMAGE, 2]
    fed = Feeding(
        names=("image", "text", "several"),
        together=batch([image, text, several], torch.cat([first, others])),
        padded=padded,
        places=lambda given: given["input_ids"] == IMAGE,
        connector="connector$",
        layers=r"language\.head$",
    )
    return Probed(Reader(), {"image": batch([image], first), "text": batch([text])}, feeding=fed)


def found(name: str, probed: Probed) -> dict[str, Any]:
    with undisturbed(probed.model):
        facts, arrays = PROBES[name](probed)
    assert arrays == {}
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in probed.model.modules())
    return facts


@pytest.mark.parametrize(("name", "sample"), [("padded_right", "text"), ("padded_left", "image")])
def test_padding_that_is_not_seen_changes_nothing(probed: Probed, name: str, sample: str) -> None:
    facts = found(name, probed)

    assert facts["largest_difference"] == {sample: pytest.approx(0, abs=1e-6)}
    assert facts["largest_logit"][sample] > 0.1


def test_padding_that_is_attended_to_shows(probed: Probed) -> None:
    probed.model.language.register_forward_pre_hook(
        lambda _module, args, kwargs: (args, {**kwargs, "attention_mask": torch.ones_like(kwargs["attention_mask"])}),
        with_kwargs=True,
    )
    with undisturbed(probed.model):
        left = PROBES["padded_left"](probed)[0]["largest_difference"]["image"]
        right = PROBES["padded_right"](probed)[0]["largest_difference"]["text"]

    assert left > 1e-2
    assert right < 1e-6  # what follows is never seen by this model


def test_where_there_is_no_picture_text_is_padded(probed: Probed) -> None:
    text = replace(probed, batches={"text": probed.batches["text"]})

    assert set(found("padded_left", text)["largest_difference"]) == {"text"}


def test_samples_in_company_are_held_against_themselves_alone(probed: Probed) -> None:
    facts = found("together", probed)

    assert facts["names"] == ("image", "text", "several")
    assert facts["largest_difference"] == {name: pytest.approx(0, abs=1e-6) for name in ("image", "text")}
    assert facts["pictures"] == {"tokens": 6, "features": 6, "in_place": 6}


def test_pictures_given_to_one_another_show(probed: Probed) -> None:
    assert probed.feeding is not None
    together = probed.feeding.together
    mixed = {**together, "pixel_values": together["pixel_values"].flip(0)}
    facts = found("together", replace(probed, feeding=replace(probed.feeding, together=mixed)))

    assert facts["largest_difference"]["image"] > 1e-2
    assert facts["largest_difference"]["text"] == pytest.approx(0, abs=1e-6)


def test_features_that_nobody_takes_are_counted(probed: Probed) -> None:
    assert probed.feeding is not None
    ids = probed.feeding.together["input_ids"].clone()
    ids[2, 4] = 1
    fewer = {**probed.feeding.together, "input_ids": ids}
    facts = found("together", replace(probed, feeding=replace(probed.feeding, together=fewer)))

    assert facts["pictures"] == {"tokens": 5, "features": 6, "in_place": 5}


def test_one_feature_that_is_altered_on_the_way_shows(probed: Probed) -> None:
    def alter(_module: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        embeddings = kwargs["inputs_embeds"].clone()
        if len(embeddings) > 2:
            embeddings[2, 3] += 1e-3
        return args, {**kwargs, "inputs_embeds": embeddings}

    hook = probed.model.language.register_forward_pre_hook(alter, with_kwargs=True)
    with undisturbed(probed.model):
        facts, _ = PROBES["together"](probed)
    hook.remove()

    assert facts["pictures"] == {"tokens": 6, "features": 6, "in_place": 5}
