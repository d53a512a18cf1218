"""Commands that print facts: as text for people, and as JSON with the promised fields."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The published checkpoints: llava-hf/llava-1.5-7b-hf and llava-hf/llava-1.5-13b-hf.
TOTALS = {"llava-1.5-7b": 7_063_427_072, "llava-1.5-13b": 13_351_494_656}
# By the authors of LLaVA: the projector of 1.5 and the two towers it joins.
PROJECTORS = {"llava-1.5-7b": 1024 * 4096 + 4096 + 4096 * 4096 + 4096, "llava-1.5-13b": 5120 * (1024 + 1 + 5120 + 1)}
COMPONENTS = {"vision", "connector", "language", "embeddings", "lm_head"}
LOAD = """
import sys, torch, transformers
processor = transformers.AutoProcessor.from_pretrained(sys.argv[1])
model, info = transformers.LlavaForConditionalGeneration.from_pretrained(sys.argv[1], output_loading_info=True)
assert not any(name.startswith("harness") for name in sys.modules)
assert not info["missing_keys"] and not info["unexpected_keys"], info
text = "USER: <image>\\nWhat is this? ASSISTANT:"
size = processor.image_processor.crop_size
image = torch.zeros(3, size["height"], size["width"], dtype=torch.uint8).permute(1, 2, 0).numpy()
inputs = processor(text=[text], images=[image], return_tensors="pt")
print(type(processor).__name__, tuple(model(**inputs).logits.shape)[:2] == tuple(inputs["input_ids"].shape))
print(sum(p.numel() for p in model.parameters()))
"""


@pytest.fixture
def facts(call):
    """What a command prints as JSON."""

    def of(*arguments):
        ran = call(*arguments, "--json")
        assert (ran.status, ran.err) == (0, "")
        return json.loads(ran.out)

    return of


def printed(*arguments: str) -> str:
    """What a command that succeeds prints; for fixtures that outlive one test."""
    from harness.cli.main import status_of

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = status_of(list(arguments))
    assert (status, err.getvalue()) == (0, "")
    return out.getvalue()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("written") / "new" / "tiny"
    assert printed("tiny", "llava-1.5-7b", str(directory)) == f"{directory}: llava-1.5-7b, tiny\n"
    return directory


def test_every_family_is_listed_with_its_sizes(facts) -> None:
    families = {one["name"]: one for one in facts("list", "families")}

    assert set(TOTALS) <= set(families)
    had = [one for one in families.values() if not one["description"].startswith("not to be had: ")]
    assert len(had) < len(families)
    assert all({"full", "tiny"} <= set(one["sizes"]) for one in had)


def test_every_check_is_listed_with_what_holds_when_it_passes_and_where_it_comes_from(facts) -> None:
    from harness.checks import CHECKS
    from harness.checks.universal import UNIVERSAL

    listed = facts("list", "checks")

    names = [check.name for check in CHECKS]
    assert [one["name"] for one in listed if one["judges"] == "recipes and intents"] == names
    assert [one["name"] for one in listed if one["judges"] == "any training"] == [
        one.name for one in UNIVERSAL if one.name not in names
    ]
    assert all(one["title"] and one["source"] for one in listed)


def test_every_fault_is_listed_with_its_size_and_the_check_that_catches_it(facts) -> None:
    checks = {one["name"] for one in facts("list", "checks") if one["judges"] == "recipes and intents"}

    listed = facts("list", "faults")

    assert len(listed) >= len(checks)
    assert {one["caught_by"] for one in listed} == checks - {"intent_patterns_meet"}  # which is of words, not of a run
    assert all(one["name"] and one["size"] and one["description"] for one in listed)


def test_suites_are_listed_from_the_folder_at_hand(facts, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    assert facts("list", "suites") == []

    monkeypatch.chdir(ROOT)
    listed = {one["path"]: one for one in facts("list", "suites")}

    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "suites").glob("llava*.yaml")} <= set(listed)
    assert all(one["recipes"] >= 1 for one in listed.values())


@pytest.mark.parametrize("what", ["families", "checks", "faults"])
def test_a_list_for_people_has_a_line_for_each(what, call, facts) -> None:
    ran = call("list", what)

    assert ran.status == 0
    assert [line.split()[0] for line in ran.out.splitlines()] == [one["name"] for one in facts("list", what)]
    assert not [line for line in ran.out.splitlines() if line != line.rstrip()]


def test_listing_and_the_schema_need_neither_torch_nor_transformers() -> None:
    code = (
        "import sys\nfrom harness.cli.main import status_of\n"
        "for command in (['list', 'families'], ['list', 'checks'], ['list', 'suites'], ['schema'], ['--help']):\n"
        "    assert status_of(command) == 0\n"
        "sys.exit(sum(name in sys.modules for name in ('torch', 'transformers', 'peft')))"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_the_schema_describes_suites(call) -> None:
    schema = json.loads(call("schema").out)

    assert schema["title"] == "harness suite"
    assert set(schema["properties"]) == {"family", "description", "defaults", "matrix", "checks", "recipes"}
    assert {"tune", "lora", "precision", "optimizer"} <= set(schema["$defs"]["Recipe"]["properties"])


@pytest.mark.parametrize("family", TOTALS)
def test_a_plan_has_the_published_total_and_components_that_add_up_to_it(family, facts, monkeypatch) -> None:
    monkeypatch.setattr("harness.families.llava.Llava.modes", lambda family: {})  # each builds the model once more

    plan = facts("plan", family)

    assert plan["total"] == TOTALS[family]
    assert set(plan["components"]) == COMPONENTS
    assert sum(plan["components"].values()) == plan["total"]
    assert plan["components"]["connector"] == PROJECTORS[family]


def test_a_plan_says_what_each_way_of_tuning_trains(facts) -> None:
    plan = facts("plan", "llava-1.5-7b")

    assert plan["modes"]["connector"] == plan["components"]["connector"]
    assert plan["modes"]["full"] == plan["total"]
    assert plan["modes"]["connector+llm"] == plan["total"] - plan["components"]["vision"]
    # Rank 8 on two square projections of 4096 in each of 32 layers.
    assert plan["modes"]["lora-qv"] == 32 * 2 * 8 * (4096 + 4096)
    assert all(isinstance(count, int) for count in plan["modes"].values())


@pytest.mark.parametrize(
    ("family", "adapters"),
    [
        ("minicpm-llama3-v-2.5", {"lora-qkv": 37_748_736, "lora-qkv+vision": 37_748_736}),
        ("mini-gemini-7b", {"lora": 159_907_840, "lora-alone": 159_907_840}),
        ("minimind-v3", {"native-lora": 393_216}),
    ],
)
def test_a_plan_says_how_much_of_it_is_an_adapters_own(facts, family, adapters) -> None:
    """The published counts: what is kept whole beside an adapter trains too, and is no part of it."""
    plan = facts("plan", family)

    assert {name: plan["adapters"][name] for name in adapters} == adapters
    assert all(count <= plan["modes"][name] for name, count in plan["adapters"].items())
    assert "full" not in plan["adapters"]


def test_a_plan_for_people_has_the_same_numbers(call, facts) -> None:
    plan = facts("plan", "llava-1.5-7b", "--size", "tiny")

    lines = call("plan", "llava-1.5-7b", "--size", "tiny").out.splitlines()

    assert lines[0] == f"llava-1.5-7b (tiny): {plan['total']:,} parameters"
    adapters = {name: ["of", "which", "adapter", f"{count:,}"] for name, count in plan["adapters"].items()}
    lora = lines.index("LoRA of rank 8 on")
    assert [line.split() for line in lines[1:lora] if line.startswith("  ")] == [
        [name, f"{count:,}", *(adapters.get(name, []) if part == "modes" else [])]
        for part in ("components", "modes")
        for name, count in plan[part].items()
    ]
    for line, (name, one) in zip(lines[lora + 1 :], plan["lora"]["sets"].items(), strict=False):
        where = ", ".join(f"{part} {count}" for part, count in one["modules"].items())
        assert line.split() == [*name.split(), f"{one['trained']:,}", *where.split()]
    assert lines[-1] == "  q_proj, k_proj, v_proj: meet modules in vision too"


def test_a_plan_of_a_suite_has_its_recipes_as_ways_of_tuning(facts, tmp_path) -> None:
    (tmp_path / "suite.yaml").write_text("family: llava-1.5-7b\nrecipes: {a: {tune: [connector]}, b: {tune: [llm]}}\n")

    (plan,) = facts("plan", tmp_path / "suite.yaml", "--size", "tiny")

    assert (plan["family"], plan["size"]) == ("llava-1.5-7b", "tiny")
    assert sum(plan["components"].values()) == plan["total"] < 1_000_000
    assert plan["modes"] == {
        "a": plan["components"]["connector"],
        "b": sum(plan["components"][name] for name in ("language", "embeddings", "lm_head")),
    }


def test_a_tiny_directory_loads_by_its_path_alone_where_no_harness_is(tiny, tmp_path, facts) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(tiny)], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    total = facts("plan", "llava-1.5-7b", "--size", "tiny")["total"]
    assert done.stdout.splitlines() == ["LlavaProcessor True", str(total)]


def test_a_tiny_directory_has_several_shards_and_nothing_beside_it(tiny, call) -> None:
    assert len(list(tiny.glob("*.safetensors"))) >= 3
    assert [path.name for path in tiny.parent.iterdir()] == ["tiny"]
    assert call("inspect", tiny).status == 0


def test_a_tiny_directory_is_not_written_over(tiny, call) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in tiny.iterdir()}

    assert "is not an empty directory" in call("tiny", "llava-1.5-7b", tiny).refusal
    assert {path.name: path.stat().st_mtime_ns for path in tiny.iterdir()} == before


def test_samples_are_written_whole_and_not_written_over(call, tmp_path) -> None:
    directory = tmp_path / "new" / "data"

    said = call("data", "llama-factory", directory, "--kind", "image", "--kind", "several", "--samples", 4)

    assert (said.status, said.out) == (0, f"{directory}: 4 samples, llama-factory\n")
    rows = json.loads((directory / "data.json").read_text())
    assert [len(row["images"]) for row in rows] == [1, 2, 1, 1]
    assert [path.name for path in directory.parent.iterdir()] == ["data"]
    assert "is not an empty directory" in call("data", "llava", directory).refusal


def test_samples_can_be_had_in_every_format_and_of_every_kind(call) -> None:
    from harness.cli.files import Format, Kind
    from harness.data.conversations import CONVERSATIONS
    from harness.data.written import FORMATS

    assert [one.value for one in Format] == list(FORMATS)
    assert {one.value for one in Kind} == {sample.kind for sample in CONVERSATIONS}
    assert "parquet" in call("data", "parquet", "somewhere").refusal


def test_a_refused_kind_leaves_nothing_behind(call, tmp_path) -> None:
    assert "holds text alone" in call("data", "minimind", tmp_path / "data", "--kind", "image").refusal
    assert not list(tmp_path.iterdir())


def test_planning_warns_of_nothing(call) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert call("plan", "llava-1.5-7b", "--size", "tiny").status == 0

    assert [str(warning.message) for warning in caught] == []


def test_planning_fills_no_weights_not_even_an_adapters(call, monkeypatch) -> None:
    from torch import nn

    fill, filled = nn.init.kaiming_uniform_, []
    monkeypatch.setattr(
        nn.init,
        "kaiming_uniform_",
        lambda tensor, *more, **options: filled.append(tensor) or fill(tensor, *more, **options),
    )

    assert call("plan", "llava-1.5-7b", "--size", "tiny").status == 0

    assert filled
    assert [tensor.shape for tensor in filled if not tensor.is_meta] == []
