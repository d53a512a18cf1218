"""Targets that meet nothing: the line says which prefix differs, or that there is no such module."""

import pytest

from harness.checkpoint.targets import why_unmet

LLAMA = ["model", "model.layers.0.self_attn.q_proj", "model.layers.0.mlp.up_proj", "lm_head"]
MINICPM = r"llm\..*layers\.\d+\.self_attn\.(q_proj|k_proj|v_proj)"


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (MINICPM, "the targets begin with 'llm', but q_proj of this model lie under model.layers"),
        (r".*\.decoder\..*up_proj", "up_proj of this model lie under model.layers"),
        (["decoder.q_proj"], "q_proj of this model lie under model.layers"),
        (["qkv"], "no module has such a name; there are q_proj, up_proj and others"),
        (r"[a-z]+\.qkv", "no module has such a name; there are q_proj, up_proj and others"),
    ],
)
def test_what_differs_is_named(targets: str | list[str], said: str) -> None:
    assert why_unmet(targets, LLAMA) == said


def test_several_places_are_all_named() -> None:
    paths = ["vision.layers.0.q_proj", "language.layers.1.q_proj"]

    assert why_unmet(r"llm\.q_proj", paths).endswith("lie under language.layers and vision.layers")
