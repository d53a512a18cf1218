"""From a path in memory to the published key, whatever the library version and the wrappers."""

import itertools

import pytest

from harness.families.llava import Llava
from harness.trace.naming import Naming, unwrapped

LLAVA = Llava.naming

# published key, then the path under transformers 4.45, 4.52 and 5.x
PATHS = [
    (
        "vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.weight",
        "vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.weight",
        "model.vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.weight",
        "model.vision_tower.encoder.layers.0.self_attn.q_proj.weight",
    ),
    (
        "vision_tower.vision_model.embeddings.class_embedding",
        "vision_tower.vision_model.embeddings.class_embedding",
        "model.vision_tower.vision_model.embeddings.class_embedding",
        "model.vision_tower.embeddings.class_embedding",
    ),
    (
        "multi_modal_projector.linear_1.weight",
        "multi_modal_projector.linear_1.weight",
        "model.multi_modal_projector.linear_1.weight",
        "model.multi_modal_projector.linear_1.weight",
    ),
    (
        "language_model.model.embed_tokens.weight",
        "language_model.model.embed_tokens.weight",
        "model.language_model.embed_tokens.weight",
        "model.language_model.embed_tokens.weight",
    ),
    (
        "language_model.model.layers.1.mlp.up_proj.weight",
        "language_model.model.layers.1.mlp.up_proj.weight",
        "model.language_model.layers.1.mlp.up_proj.weight",
        "model.language_model.layers.1.mlp.up_proj.weight",
    ),
    (
        "language_model.lm_head.weight",
        "language_model.lm_head.weight",
        "lm_head.weight",
        "lm_head.weight",
    ),
]
VERSIONS = ("4.45", "4.52", "5.x")
COMPONENTS = ("vision", "vision", "connector", "embeddings", "language", "lm_head")

WRAPPERS = ["module.", "_orig_mod.", "base_model.model.", "module._orig_mod.", "module.base_model.model._orig_mod."]


@pytest.mark.parametrize("version", range(3), ids=VERSIONS)
@pytest.mark.parametrize("paths", PATHS, ids=lambda paths: paths[0])
def test_every_version_gives_the_published_key(paths: tuple[str, ...], version: int) -> None:
    assert LLAVA.canonical(paths[1 + version]) == paths[0]


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("version", range(3), ids=VERSIONS)
def test_wrappers_around_the_model_do_not_show(wrapper: str, version: int) -> None:
    assert [LLAVA.canonical(wrapper + paths[1 + version]) for paths in PATHS] == [paths[0] for paths in PATHS]


@pytest.mark.parametrize(
    ("path", "key"),
    [
        pytest.param("h.0.q_proj.base_layer.weight", "h.0.q_proj.weight", id="layer under an adapter"),
        pytest.param("head.modules_to_save.default.weight", "head.weight", id="copy of a whole module"),
        pytest.param("head.modules_to_save.default", "head", id="the copy itself"),
        pytest.param("h.0._orig_mod.q_proj.weight", "h.0.q_proj.weight", id="compiled layer"),
        pytest.param("h.0.q_proj.lora_A.default.weight", "h.0.q_proj.lora_A.default.weight", id="the adapter stays"),
        pytest.param("my_module.base_layers.weight", "my_module.base_layers.weight", id="names that only resemble"),
        pytest.param("submodule.module.weight", "submodule.module.weight", id="a module named module inside"),
        pytest.param("", "", id="the root"),
    ],
)
def test_wrappers_inside_do_not_show(path: str, key: str) -> None:
    assert unwrapped(path) == key


@pytest.mark.parametrize(("paths", "component"), list(zip(PATHS, COMPONENTS, strict=True)), ids=lambda value: value[0])
def test_each_key_has_its_component(paths: tuple[str, ...], component: str) -> None:
    assert LLAVA.component(paths[0]) == component


def test_modules_are_renamed_as_their_parameters_are() -> None:
    assert LLAVA.canonical("model.vision_tower") == "vision_tower.vision_model"
    assert LLAVA.canonical("model.language_model") == "language_model.model"
    assert LLAVA.canonical("model.vision_towers.x") == "model.vision_towers.x"


def test_the_first_rule_that_matches_wins() -> None:
    naming = Naming([("^a", "b"), ("^b", "c"), (r"x(\d)", r"y\1")], [(r"b", "vision"), (r"", "language")])

    assert [naming.canonical(path) for path in ("a", "b", "zx7x8")] == ["b", "c", "zy7x8"]
    assert [naming.component(key) for key in ("b", "c")] == ["vision", "language"]


def test_no_rule_means_other_and_the_path_itself() -> None:
    assert (Naming().canonical("a.b"), Naming().component("a.b")) == ("a.b", "other")


def test_rules_survive_json() -> None:
    again = Naming.from_json(LLAVA.to_json())

    every = list(itertools.chain.from_iterable(PATHS))
    assert [again.canonical(path) for path in every] == [LLAVA.canonical(path) for path in every]
    assert again.to_json() == LLAVA.to_json()
    assert Naming.from_json({}).to_json() == {"renames": [], "components": []}
