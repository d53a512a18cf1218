"""The probe of how image features lie to text embeddings, before training and after it."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import normalize

from harness.probes.batch_invariance import overheard
from harness.probes.guard import parameters_kept
from harness.probes.passes import Arrays, Probed, logits_of, probe


@probe
def alignment(probed: Probed) -> tuple[dict[str, Any], Arrays]:
    """The mean cosine between what stands in image tokens' places and what stands in text tokens', in the embeddings
    that the language model is given of the image sample: with the values before the first step, and with the last.

    A cosine is no tolerance: it is told, and nothing is promised of it.
    """
    if probed.feeding is None or "image" not in probed.batches:
        return {"before": None, "after": None}, {}
    after = _mean_cosine(probed)
    if probed.first is None:
        return {"before": None, "after": after}, {}
    with parameters_kept(probed.model):
        for path, parameter in probed.model.named_parameters():
            parameter.copy_(probed.first[path])
        before = _mean_cosine(probed)
    return {"before": before, "after": after}, {}


def _mean_cosine(probed: Probed) -> float | None:
    fed = probed.feeding
    assert fed is not None
    batch = probed.batches["image"]
    with overheard(probed.model, fed) as (_, given):
        logits_of(probed, batch)
    if not given:
        return None
    places = fed.places(batch)
    text = batch["attention_mask"].bool() & ~places
    directions = normalize(given[0][:, -places.shape[1] :].float(), dim=-1)
    # Of two sets of directions the mean cosine of all pairs is the product of their means.
    return float(torch.dot(directions[places].mean(0), directions[text].mean(0)))
