"""Well-known checkpoints from their recorded configurations: the published counts, and what LoRA would sit on there."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from harness.adapter_sets import ALL_LINEAR, ATTENTION, FEED_FORWARD, adapter_set, lora_plan
from harness.families import family
from harness.families.library.published import Published, checkpoints
from harness.planning import unfilled
from harness.refusal import Refused
from harness.stack import quiet, release

pytestmark = pytest.mark.skipif(release("transformers") < (5, 20), reason="the newest of them came with 5.20")
FEWEST_EXACT, FEWEST = 37, 46
EVERYTHING = " ".join((*ATTENTION, *FEED_FORWARD))


def meta(name: str) -> Any:
    quiet()
    with unfilled():
        return family(f"published:{name}").meta_model("full")


def test_every_checkpoint_says_where_its_values_and_its_count_are_from() -> None:
    assert sum(one.parameters is not None for one in checkpoints().values()) >= FEWEST_EXACT
    assert sum(one.bounds() is not None for one in checkpoints().values()) >= FEWEST
    for name, one in checkpoints().items():
        assert one.config_from, name
        assert bool(one.counted_in) == (one.bounds() is not None), name
        assert one.parameters is None or not one.rounded, name
        assert one.note or not one.beside, name


@pytest.mark.parametrize(
    ("rounded", "bounds"),
    [
        (("8.46 B",), (8_455_000_000, 8_465_000_000)),
        (("894 M",), (893_500_000, 894_500_000)),
        (("4.92 GB", "380 MB"), (2_647_250_000, 2_652_750_000)),
    ],
)
def test_a_rounded_number_allows_what_rounds_to_its_digits(rounded: tuple[str, ...], bounds: tuple[int, int]) -> None:
    assert Published(config={}, config_from="", rounded=rounded).bounds() == bounds


@pytest.mark.parametrize("name", [name for name, one in checkpoints().items() if one.bounds()])
def test_the_count_is_the_published_one_and_every_parameter_has_a_component(name: str) -> None:
    chosen = family(f"published:{name}")
    counts: Counter[str] = Counter()
    for path, parameter in meta(name).named_parameters():
        counts[chosen.naming.component(chosen.naming.canonical(path))] += parameter.numel()
    one = checkpoints()[name]
    bounds = one.bounds()
    assert bounds
    assert bounds[0] <= counts.total() + one.beside <= bounds[1]
    assert bounds[1] - bounds[0] < counts["embeddings"], "too rough to tell whether the head is tied"
    assert "other" not in counts
    assert {"vision", "connector", "language", "embeddings"} <= set(counts)


@pytest.mark.parametrize(
    ("name", "targets", "modules", "trained"),
    [
        # CLIP's layers are called as those of Llama, but for the last of attention.
        ("llava-hf/llava-1.5-7b-hf", "q_proj v_proj", {"vision": 48, "language": 64}, 4_980_736),
        ("llava-hf/llava-1.5-7b-hf", ALL_LINEAR, {"vision": 144, "connector": 2, "language": 224}, 23_633_920),
        # One layer gives queries, keys and values of pictures: the tower has none of the names of attention.
        ("Qwen/Qwen2.5-VL-7B-Instruct", "q_proj v_proj", {"language": 56}, 2_523_136),
        ("Qwen/Qwen2.5-VL-7B-Instruct", EVERYTHING, {"vision": 96, "language": 196}, 23_794_688),
        # The projector is a parameter by itself.
        ("google/gemma-3-4b-it", ALL_LINEAR, {"vision": 162, "language": 238}, 19_248_896),
        # Experts are one tensor; peft takes their names for that tensor's, and leaves the other layers so called out.
        ("zai-org/GLM-4.6V", EVERYTHING, {"language": 184}, 906_461_184),
        ("zai-org/GLM-4.6V", ALL_LINEAR, {"vision": 49, "connector": 1, "language": 184}, 909_838_528),
        # Of this type it does not.
        ("Qwen/Qwen3-VL-30B-A3B-Instruct", EVERYTHING, {"language": 192}, 6_684_672),
    ],
)
def test_lora_is_where_the_usual_targets_put_it(name: str, targets: str, modules: Any, trained: int) -> None:
    found = lora_plan(family(f"published:{name}"), meta(name))["sets"][targets]
    assert (found["modules"], found["trained"]) == (modules, trained)


def test_names_that_meet_nothing_and_names_that_meet_the_tower_are_told_apart() -> None:
    def names(name: str) -> dict[str, set[str]]:
        found = lora_plan(family(f"published:{name}"), meta(name))
        assert bool(found["experts"]) == ("A3B" in name)
        return {one: set(parts) for one, parts in found["names"].items()}

    fused = names("Qwen/Qwen3-VL-30B-A3B-Instruct")
    assert {one for one, parts in fused.items() if not parts} == set(FEED_FORWARD)
    renamed = names("LiquidAI/LFM2-VL-450M")
    assert {one for one, parts in renamed.items() if not parts} == {"o_proj", *FEED_FORWARD}
    assert {one for one, parts in renamed.items() if "vision" in parts} == {"q_proj", "k_proj", "v_proj"}


@pytest.mark.parametrize(
    "model_type", ["llava", "mllama", "qwen3_vl_moe", "glm4v_moe", "ovis2", "lfm2_vl", "got_ocr2", "gemma4"]
)
def test_what_is_counted_is_what_peft_makes(model_type: str) -> None:
    """Sets, sizes and refusals are those of the library at hand, for each of the usual lists and for a pattern."""
    import peft
    import torch

    quiet()
    chosen: Any = family(f"transformers:{model_type}")
    for targets in (ATTENTION[:1], (*ATTENTION, *FEED_FORWARD), ALL_LINEAR, r".*language.*\.(q_proj|down_proj)"):
        counted = adapter_set(chosen.tiny.model, targets, rank=4)
        with torch.device("meta"):
            model = chosen.blueprint.on_meta(chosen.blueprint.outline())
            config = peft.LoraConfig(r=4, target_modules=targets if isinstance(targets, str) else list(targets))
            try:
                made = peft.get_peft_model(model, config)
            except ValueError:
                assert counted.refused, targets
                continue
        assert not counted.refused, targets
        assert counted.trained == sum(p.numel() for p in made.parameters() if p.requires_grad), targets
        kinds = [type(module).__name__ for module in made.modules() if hasattr(module, "lora_A")]
        assert len(counted.tensors) == kinds.count("ParamWrapper"), targets
        assert len(counted.modules) == len(kinds) - kinds.count("ParamWrapper"), targets


def test_a_checkpoint_that_is_not_recorded_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="did you mean published:Qwen/Qwen2-VL-7B-Instruct"):
        family("published:Qwen/Qwen2-VL-7B")
