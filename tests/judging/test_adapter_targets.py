"""Which modules a target list meets, by peft's published rules."""

from typing import Any

import peft
import pytest
from torch import nn

from harness.checks.adapter_targets import Tree, met_by, targeted, unmatched
from harness.intent import AdapterIntent

LINEAR, CONV1D = "torch.nn.modules.linear.Linear", "transformers.pytorch_utils.Conv1D"
VISION = {f"vision.layers.{layer}.q_proj" for layer in range(2)}
LANGUAGE = {f"language.layers.{layer}.{name}" for layer in range(3) for name in ("q_proj", "v_proj", "xq_proj")}
Q = {path for path in LANGUAGE if path.endswith(".q_proj")}
EVERY_Q = VISION | Q | {"merger.q_proj"}
SECOND_LAYER = {"vision.layers.1.q_proj", "language.layers.1.q_proj"}
TREE = Tree(
    {
        **dict.fromkeys(
            sorted(VISION | LANGUAGE | {"head.lm_head", "model.language.lm_head", "merger.q_proj"}), LINEAR
        ),
        "language.c_attn": CONV1D,
        "language.layers": "torch.nn.modules.container.ModuleList",
        "language.norm": "torch.nn.modules.normalization.LayerNorm",
        "embed": "torch.nn.modules.sparse.Embedding",
    },
    frozenset(),
)


@pytest.mark.parametrize(
    ("asked", "met"),
    [
        pytest.param({"targets": ["q_proj"]}, EVERY_Q, id="a name meets every path that ends in it"),
        pytest.param({"targets": ["layers.1.q_proj"]}, SECOND_LAYER, id="suffix"),
        pytest.param({"targets": ["language.layers.0.q_proj"]}, {"language.layers.0.q_proj"}, id="whole path"),
        pytest.param({"targets": ["embed"]}, {"embed"}, id="a path of one part"),
        pytest.param({"targets": ["proj", "_proj"]}, set(), id="no part of a name"),
        pytest.param({"targets": [".*q_proj"]}, set(), id="a list holds no regex"),
        pytest.param({"targets": r"language\..*\.q_proj"}, Q, id="regex"),
        pytest.param({"targets": r"q_proj"}, set(), id="a regex meets whole paths"),
        pytest.param({"targets": r"language\.layers\.\d"}, set(), id="and not their beginnings"),
        pytest.param(
            {"targets": "all-linear"},
            VISION | LANGUAGE | {"merger.q_proj", "language.c_attn"},
            id="all-linear leaves out the head and what is not linear",
        ),
        pytest.param({"targets": ["q_proj"], "exclude": ["vision.layers.0.q_proj", "merger.q_proj"]},
                     Q | {"vision.layers.1.q_proj"}, id="exclude names"),
        pytest.param({"targets": ["q_proj"], "exclude": r"(vision|merger)\..*"}, Q, id="exclude regex"),
        pytest.param({"targets": ["q_proj"], "exclude": "vision"}, EVERY_Q, id="exclude whole paths"),
        pytest.param({"targets": ["q_proj"], "layers_to_transform": [1]}, SECOND_LAYER, id="one layer"),
        pytest.param({"targets": ["q_proj"], "layers_to_transform": [0, 2], "exclude": r"vision\..*"},
                     {"language.layers.0.q_proj", "language.layers.2.q_proj"}, id="two layers, less an exclusion"),
        pytest.param({"targets": ["q_proj"], "layers_to_transform": [1], "layers_pattern": "layers"},
                     SECOND_LAYER, id="layers by pattern"),
        pytest.param({"targets": ["q_proj"], "layers_to_transform": [1], "layers_pattern": "blocks"},
                     set(), id="no such list"),
        pytest.param({"targets": ["q_proj"], "layers_to_transform": [7]}, set(), id="no such layer"),
    ],
)  # fmt: skip
def test_a_specification_meets_these_modules(asked: dict[str, Any], met: set[str]) -> None:
    assert targeted(AdapterIntent.model_validate(asked), TREE) == met


def test_a_whole_path_is_met_in_any_layer() -> None:
    asked = AdapterIntent(targets=("language.layers.0.q_proj",), layers_to_transform=(1,))

    assert targeted(asked, TREE) == {"language.layers.0.q_proj"}


@pytest.mark.parametrize("pattern", [None, "layers"])
def test_the_layer_of_an_expert_is_the_first_number_of_its_path(pattern: str | None) -> None:
    tree = Tree({f"layers.{layer}.experts.{expert}.up": LINEAR for layer in (0, 1) for expert in (0, 1)}, frozenset())
    tree.modules.update({f"model.{path}": kind for path, kind in tree.modules.items()})
    asked = AdapterIntent(targets=("up",), layers_to_transform=(1,), layers_pattern=pattern)

    assert {path for path in targeted(asked, tree) if path.startswith("model.")} == {
        "model.layers.1.experts.0.up",
        "model.layers.1.experts.1.up",
    }


def block() -> nn.Module:
    return nn.ModuleDict({"up": nn.Linear(2, 2), "experts": nn.ModuleList(nn.Linear(2, 2) for _ in range(2))})


@pytest.mark.parametrize(
    "settings",
    [
        {"targets": ["up", "head"]},
        {"targets": ["up"], "layers_to_transform": [1]},
        {"targets": ["up", "head"], "layers_to_transform": [0], "layers_pattern": "layers"},
        {"targets": ["experts.0", "head"], "layers_to_transform": [0, 1]},
        {"targets": ["layers.0.up", "experts.1"], "layers_to_transform": [1]},
        {"targets": ["tower.layers.0.up", "head"], "layers_to_transform": [1]},
        {"targets": ["experts.0", "head"], "exclude": ["tower.layers.0.experts.0"]},
        {"targets": r"tower\..*\.up", "exclude": r".*1\.up"},
        {"targets": "all-linear", "exclude": ["up"]},
    ],
    ids=str,
)
def test_what_is_met_is_what_peft_adapts(settings: dict[str, Any]) -> None:
    """Held against peft itself, on a model with lists in lists."""
    tower = nn.ModuleDict({"layers": nn.ModuleList(block() for _ in range(2))})
    model = nn.ModuleDict({"tower": tower, "layers": nn.ModuleList([block()]), "head": nn.Linear(2, 2)})
    kinds = {path: f"{type(m).__module__}.{type(m).__qualname__}" for path, m in model.named_modules() if path}
    names = {"targets": "target_modules", "exclude": "exclude_modules"}

    peft.inject_adapter_in_model(peft.LoraConfig(**{names.get(k, k): v for k, v in settings.items()}), model)

    adapted = {path for path, module in model.named_modules() if hasattr(module, "base_layer")}
    assert targeted(AdapterIntent.model_validate(settings), Tree(kinds, frozenset())) == adapted != set()


@pytest.mark.parametrize(
    ("asked", "idle"),
    [
        pytest.param({"targets": ["q_proj", "W_pack"]}, ["W_pack"], id="one name of two"),
        pytest.param({"targets": ["q_proj", "v_proj"]}, [], id="every name"),
        pytest.param({"targets": r"eyes\..*"}, [r"eyes\..*"], id="regex"),
        pytest.param({"targets": r"vision\..*"}, [], id="regex that meets"),
        pytest.param({"targets": "all-linear"}, [], id="all-linear"),
        pytest.param({"targets": ["q_proj"], "exclude": ["W_pack"]}, ["W_pack"], id="excluded name"),
        pytest.param({"targets": ["q_proj"], "exclude": "vision"}, ["vision"], id="excluded regex"),
        pytest.param({"targets": ["x"], "exclude": ["y"]}, ["x", "y"], id="both"),
    ],
)
def test_targets_that_meet_nothing_are_told(asked: dict[str, Any], idle: list[str]) -> None:
    assert unmatched(AdapterIntent.model_validate(asked), TREE) == idle


def test_all_linear_meets_nothing_where_nothing_is_linear() -> None:
    assert unmatched(AdapterIntent(), Tree({"embed": "torch.nn.modules.sparse.Embedding"}, frozenset())) == [
        "all-linear"
    ]


def test_the_tree_is_that_of_the_model_before_it_was_wrapped(evidence: Any) -> None:
    tree = Tree.of(evidence.trace())

    assert tree.adapted == {"language.layers.0.q_proj", "language.layers.1.q_proj"}
    assert {path: kind.rpartition(".")[2] for path, kind in tree.modules.items()} == {
        "vision.layers.0.q_proj": "Linear",
        "vision.norm": "LayerNorm",
        "connector": "Linear",
        "language.layers.0.fc": "Linear",
        "language.layers.0.q_proj": "Linear",
        "language.layers.1.q_proj": "Linear",
    }


def test_a_module_at_the_root_can_be_adapted(evidence: Any) -> None:
    model = evidence.one("model")
    model["modules"] = {"path": ["head", "head.base_layer", "head.lora_A"], "type": ["Lora", LINEAR, LINEAR]}
    model["adapters"] = {"head": {}}

    assert Tree.of(evidence.trace()) == Tree({"head": LINEAR}, frozenset({"head"}))


def test_without_a_model_the_tree_is_empty(evidence: Any) -> None:
    evidence.drop("model")

    assert Tree.of(evidence.trace()) == Tree({}, frozenset())


def test_a_head_is_an_output_layer_wherever_it_lies() -> None:
    linear = "torch.nn.modules.linear.Linear"
    tree = Tree(dict.fromkeys(("model.fc", "lm_head", "model.language.lm_head"), linear), frozenset())

    assert met_by("all-linear", tree) == {"model.fc"}
