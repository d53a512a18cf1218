"""Whether an adapter fits a base is told from their names and shapes, with what would fit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.checkpoint.fit import adapter_fit
from harness.refusal import Refused
from tests.checkpoint.directories import tensors, write

LAYERS = [f"model.layers.{layer}.self_attn.{name}" for layer in (0, 1) for name in ("q_proj", "v_proj")]
REGEX = r"llm\..*layers\.\d+\.self_attn\.(q_proj|v_proj)"


def adapter(directory: Path, under: str = "llm.", features: int = 4, **config: Any) -> Path:
    """An adapter of rank 2 on the projections of two layers, with `resampler` saved beside it where it is named."""
    said = {
        "peft_type": "LORA",
        "r": 2,
        "target_modules": REGEX,
        "modules_to_save": ["resampler"],
        "auto_mapping": {"base_model_class": "MiniCPMV"},
        "base_model_name_or_path": "/somewhere/MiniCPM-Llama3-V-2_5",
        **config,
    }
    shapes: dict[str, tuple[int, ...]] = {}
    for path in LAYERS:
        shapes[f"base_model.model.{under}{path}.lora_A.weight"] = (2, features)
        shapes[f"base_model.model.{under}{path}.lora_B.weight"] = (features, 2)
    if said["modules_to_save"]:
        shapes["base_model.model.resampler.query"] = (3, 4)
    tensors(directory, "adapter_model.safetensors", shapes)
    write(directory, "adapter_config.json", said)
    return directory


def base(directory: Path, under: str = "llm.", features: int = 4, resampler: bool = True, **config: Any) -> Path:
    shapes: dict[str, tuple[int, ...]] = {f"{under}{path}.weight": (features, features) for path in LAYERS}
    if resampler:
        shapes["resampler.query"] = (3, 4)
    tensors(directory, "model.safetensors", shapes)
    write(directory, "config.json", {"architectures": ["LlamaForCausalLM"], "model_type": "llama", **config})
    return directory


def test_an_adapter_fits_the_base_it_was_made_on(tmp_path: Path) -> None:
    fit = adapter_fit(adapter(tmp_path / "adapter"), base=base(tmp_path / "base"))

    assert fit.fits
    assert (fit.unmet, fit.absent, fit.prefixes, fit.shapes, fit.diagnosis) == ((), (), None, (), "")
    assert fit.names == "checkpoint names"


def test_an_adapter_of_a_language_model_inside_another_does_not_fit_the_plain_one(tmp_path: Path) -> None:
    fit = adapter_fit(adapter(tmp_path / "adapter"), base=base(tmp_path / "base", under="", resampler=False))

    assert not fit.fits
    assert fit.unmet == (REGEX, "resampler")
    assert fit.absent == (*(f"llm.{path}" for path in LAYERS), "resampler")
    assert fit.prefixes == ("llm", "")
    assert fit.diagnosis == (
        "an adapter for a model whose layers are under llm.model.layers, such as MiniCPM-Llama3-V-2_5 (MiniCPMV); "
        "this base is LlamaForCausalLM, whose are under model.layers (by its checkpoint names)"
    )


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"auto_mapping": None}, ", such as MiniCPM-Llama3-V-2_5; this"),
        ({"base_model_name_or_path": None}, ", such as MiniCPMV; this"),
        ({"auto_mapping": 3, "base_model_name_or_path": 3}, "are under llm.model.layers; this"),
    ],
)
def test_what_would_fit_is_said_as_far_as_the_adapter_says_it(tmp_path: Path, config: Any, said: str) -> None:
    fit = adapter_fit(adapter(tmp_path / "adapter", **config), base=base(tmp_path / "base", under="", resampler=False))

    assert said in fit.diagnosis


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"architectures": None}, "this base is llama,"),
        ({"architectures": [], "model_type": None}, "this base is a model that does not say its class,"),
        ({"architectures": [3]}, "this base is llama,"),
    ],
)
def test_a_base_is_named_as_far_as_its_configuration_does(tmp_path: Path, config: Any, said: str) -> None:
    fit = adapter_fit(adapter(tmp_path / "adapter"), base=base(tmp_path / "base", under="", resampler=False, **config))

    assert said in fit.diagnosis


@pytest.mark.parametrize(
    ("own", "others", "prefixes", "places"),
    [
        (
            "",
            "llm.",
            ("", "llm"),
            "under model.layers, such as B; this base is another, whose are under llm.model.layers",
        ),
        ("", "language_model.", ("", "language_model"), "whose are under language_model.model.layers"),
        (
            "a.b.",
            "c.",
            ("a.b", "c"),
            "under a.b.model.layers, such as B; this base is another, whose are under c.model",
        ),
    ],
)
def test_prefixes_are_found_by_the_longest_common_ends(
    tmp_path: Path, own: str, others: str, prefixes: tuple[str, str], places: str
) -> None:
    made = adapter(
        tmp_path,
        under=own,
        target_modules=["q_proj"],
        modules_to_save=None,
        auto_mapping=None,
        base_model_name_or_path="B",
    )
    vision = [f"vpm.encoder.layers.{layer}.self_attn.q_proj" for layer in range(9)]
    fit = adapter_fit(made, [*vision, *(f"{others}{path}" for path in LAYERS)])

    assert fit.prefixes == prefixes
    assert places in fit.diagnosis
    assert fit.names == "module paths"


def test_one_layer_too_few_is_said_as_such(tmp_path: Path) -> None:
    fit = adapter_fit(adapter(tmp_path), [*(f"llm.{path}" for path in LAYERS[:3]), "resampler"])

    assert not fit.fits
    assert fit.absent == (f"llm.{LAYERS[3]}",)
    assert fit.prefixes is None
    assert f"a model that has llm.{LAYERS[3]}, such as" in fit.diagnosis


def test_a_name_that_meets_nothing_among_others_is_named_and_harms_nothing(tmp_path: Path) -> None:
    fit = adapter_fit(
        adapter(tmp_path, target_modules=["q_proj", "v_proj", "gate_proj"]),
        [*(f"llm.{path}" for path in LAYERS), "resampler"],
    )

    assert fit.fits
    assert fit.unmet == ("gate_proj",)


@pytest.mark.parametrize(
    ("config", "unmet"),
    [
        ({"target_modules": "model\\.layers\\..*q_proj"}, "model\\.layers\\..*q_proj"),
        ({"target_modules": ["_proj"]}, "_proj"),
        ({"modules_to_save": ["sampler"]}, "sampler"),
    ],
)
def test_targets_meet_modules_as_they_do_in_peft(tmp_path: Path, config: Any, unmet: str) -> None:
    fit = adapter_fit(adapter(tmp_path, **config), [*(f"llm.{path}" for path in LAYERS), "resampler"])

    assert not fit.fits
    assert fit.unmet == (unmet,)
    assert f"a model that has {unmet}, such as MiniCPM-Llama3-V-2_5 (MiniCPMV); this base is another" in fit.diagnosis


def test_every_linear_is_a_target_that_any_model_meets(tmp_path: Path) -> None:
    fit = adapter_fit(
        adapter(tmp_path, target_modules="all-linear"), [*(f"llm.{path}" for path in LAYERS), "resampler"]
    )

    assert fit.fits


def test_other_sizes_are_named(tmp_path: Path) -> None:
    fit = adapter_fit(adapter(tmp_path / "adapter"), base=base(tmp_path / "base", features=6))

    assert not fit.fits
    assert len(fit.shapes) == 8
    assert fit.shapes[0] == f"llm.{LAYERS[0]}: lora_A is 2 x 4, and the base's takes 6 features"
    assert fit.shapes[1] == f"llm.{LAYERS[0]}: lora_B is 4 x 2, and the base's gives 6 features"
    assert f"LlamaForCausalLM: {fit.shapes[0]}, and 7 more differ" in fit.diagnosis


def test_a_saved_module_of_another_size_is_named(tmp_path: Path) -> None:
    made = base(tmp_path / "base")
    shapes = {f"llm.{path}.weight": (4, 4) for path in LAYERS}
    tensors(made, "model.safetensors", {**shapes, "resampler.query": (5, 4)})

    assert adapter_fit(adapter(tmp_path / "adapter"), base=made).shapes == (
        "resampler.query is 3 x 4 in the adapter and 5 x 4 in the base",
    )


@pytest.mark.parametrize(
    ("turned", "part", "shape", "weight", "said"),
    [
        (False, "lora_A.weight", (2, 4), (8, 4), ""),
        (False, "lora_A.weight", (2, 8), (8, 4), "takes 4 features"),
        (True, "lora_A.weight", (2, 8), (8, 4), ""),
        (False, "lora_B.weight", (8, 2), (8, 4), ""),
        (False, "lora_B.weight", (4, 2), (8, 4), "gives 8 features"),
        (False, "lora_A.weight", (2, 3, 5, 5), (8, 3, 5, 5), ""),
        (False, "lora_A.weight", (2, 4, 5, 5), (8, 3, 5, 5), "takes 3 features"),
        (False, "lora_embedding_A", (2, 10), (10, 4), ""),
        (False, "lora_embedding_A", (2, 12), (10, 4), "has 10 rows"),
        (False, "lora_embedding_B", (4, 2), (10, 4), ""),
        (False, "lora_embedding_B", (6, 2), (10, 4), "has 4 features"),
        (False, "lora_magnitude_vector", (9,), (8, 4), ""),
    ],
)
def test_each_kind_of_matrix_is_held_to_its_side(
    tmp_path: Path, turned: bool, part: str, shape: tuple[int, ...], weight: tuple[int, ...], said: str
) -> None:
    tensors(tmp_path, "adapter_model.safetensors", {f"base_model.model.a.q.{part}": shape})
    write(tmp_path, "adapter_config.json", {"target_modules": ["q"], "fan_in_fan_out": turned})
    fit = adapter_fit(tmp_path, ["a", "a.q"], shapes={"a.q.weight": weight})

    assert fit.fits == (not said)
    assert said in "".join(fit.shapes)


def test_a_packed_weight_has_no_shape_to_hold_to(tmp_path: Path) -> None:
    made = base(tmp_path / "base")
    from harness.trace.writer import write_safetensors

    packed = {f"llm.{path}.weight": torch.zeros(8, 1, dtype=torch.uint8) for path in LAYERS}
    write_safetensors(made / "model.safetensors", {**packed, "resampler.query": torch.zeros(3, 4)})

    assert adapter_fit(adapter(tmp_path / "adapter"), base=made).fits


def test_a_base_whose_weights_are_elsewhere_is_known_by_its_index(tmp_path: Path) -> None:
    made = base(tmp_path / "base")
    weight_map = {
        **{f"llm.{path}.weight": "model-1.safetensors" for path in LAYERS},
        "resampler.query": "model-1.safetensors",
    }
    write(made, "model.safetensors.index.json", {"weight_map": weight_map})
    (made / "model.safetensors").unlink()

    assert adapter_fit(adapter(tmp_path / "adapter"), base=made).fits


def test_an_adapter_in_torchs_own_format_is_read_too(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    made = adapter(tmp_path / "adapter")
    torch.save(load_file(made / "adapter_model.safetensors"), made / "adapter_model.bin")
    (made / "adapter_model.safetensors").unlink()

    assert adapter_fit(made, base=base(tmp_path / "base")).fits


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda d: (d / "adapter_config.json").write_text("{"),
            "adapter_config.json: is damaged: it is no JSON object",
        ),
        (lambda d: (d / "adapter_config.json").unlink(), "adapter_config.json: there is no such file"),
        (lambda d: (d / "adapter_model.safetensors").unlink(), "holds no adapter weights"),
        (lambda d: (d / "adapter_model.safetensors").write_bytes(b""), "adapter_model.safetensors: is damaged"),
        (
            lambda d: write(d, "adapter_config.json", {"target_modules": "("}),
            "target_modules '(' is no regular expression",
        ),
    ],
)
def test_a_damaged_adapter_is_refused_in_one_line(tmp_path: Path, damage: Callable[[Path], Any], said: str) -> None:
    damage(adapter(tmp_path))

    with pytest.raises(Refused) as caught:
        adapter_fit(tmp_path, ["a"])
    assert said in str(caught.value)


def test_nothing_to_hold_it_against_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no base to hold the adapter against"):
        adapter_fit(adapter(tmp_path))


def test_a_base_without_any_names_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "base", "config.json", {})

    with pytest.raises(Refused, match="base: names no tensors to hold the adapter against; name a base with weights"):
        adapter_fit(adapter(tmp_path / "adapter"), base=tmp_path / "base")


def test_a_base_in_torchs_own_format_is_known_by_its_names(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    made = base(tmp_path / "base")
    torch.save(load_file(made / "model.safetensors"), made / "pytorch_model.bin")
    (made / "model.safetensors").unlink()

    assert adapter_fit(adapter(tmp_path / "adapter"), base=made).fits


class Small(torch.nn.Module):
    def __init__(self, size: int = 8) -> None:
        super().__init__()
        self.q, self.k = torch.nn.Linear(size, size), torch.nn.Linear(size, 4)
        self.head = torch.nn.Linear(4, 2)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("LoraConfig", {"r": 2, "bias": "all"}),
        ("LoraConfig", {"r": 2, "use_dora": True}),
        ("AdaLoraConfig", {"init_r": 2, "total_step": 9}),
        ("LoHaConfig", {"r": 2}),
        ("LoKrConfig", {"r": 2}),
        ("IA3Config", {"feedforward_modules": []}),
        ("VeraConfig", {"r": 2}),
        ("FourierFTConfig", {"n_frequency": 2}),
        ("HRAConfig", {}),
    ],
)
def test_what_peft_saves_fits_what_it_was_made_on_and_nothing_else(
    tmp_path: Path, method: str, options: dict[str, Any]
) -> None:
    import peft

    model = torch.nn.Sequential(Small(), Small())
    config = getattr(peft, method)(target_modules=["q"], modules_to_save=["0.head"], **options)
    paths = [path for path, _ in model.named_modules()]
    peft.get_peft_model(model, config).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["auto_mapping"]

    assert adapter_fit(tmp_path, paths).fits
    fit = adapter_fit(tmp_path, [f"inner.{path}" for path in paths])
    assert not fit.fits
    assert fit.prefixes == ("", "inner")
