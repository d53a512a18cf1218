"""A recipe that starts from what another recipe of its suite has saved."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.recipe import Recipe, Suite
from harness.recipe.fields import EarlierRecipe
from harness.recipe.starting import PartOf, base_and_parts

Read = Callable[[str], Suite]
Refusal = Callable[[str], str]


def earlier(recipe: Recipe) -> EarlierRecipe:
    assert isinstance(recipe.start_from, EarlierRecipe)
    return recipe.start_from


def test_the_earlier_recipe_is_found_by_name_wherever_it_stands(read: Read) -> None:
    suite = read("family: f\nrecipes: {b: {tune: vision, start_from: {recipe: a}}, a: {tune: connector}}")

    assert earlier(suite.recipes["b"]).settings == suite.recipes["a"]


def test_in_a_matrix_it_is_the_one_in_the_same_place(read: Read) -> None:
    suite = read(
        """
        family: f
        matrix: {precision: [fp32, bf16]}
        recipes: {a: {tune: connector}, b: {tune: vision, start_from: {recipe: a}}}
        """
    )

    assert earlier(suite.recipes["b[bf16]"]).recipe == "a[bf16]"


def test_stages_may_follow_each_other(read: Read) -> None:
    suite = read(
        """
        family: f
        recipes:
          a: {tune: connector}
          b: {tune: vision, start_from: {recipe: a}}
          c: {tune: vision, start_from: {recipe: b}}
        """
    )

    assert earlier(earlier(suite.recipes["c"]).settings).recipe == "a"


def test_a_stage_survives_being_written_and_read(read: Read) -> None:
    recipe = read("family: f\nrecipes: {b: {tune: vision, start_from: {recipe: a}}, a: {tune: connector}}").recipes["b"]

    again = Recipe.model_validate_json(recipe.model_dump_json(exclude_defaults=True))

    assert Recipe.model_validate(earlier(again).settings) == earlier(recipe).settings


@pytest.mark.parametrize(
    ("recipes", "words"),
    [
        (
            "{b: {tune: vision, start_from: {recipe: connecter}}, connector: {tune: connector}}",
            "did you mean connector",
        ),
        ("{a: {tune: vision, start_from: {recipe: a}}}", "a starts from a"),
        (
            "{a: {tune: vision, start_from: {recipe: b}}, b: {tune: vision, start_from: {recipe: a}}}",
            "a starts from b starts from a",
        ),
        ("{b: {tune: vision, start_from: {recipe: a}}, a: {lora: {rank: 2}}}", "a leaves an adapter, and this recipe"),
        (
            "{b: {tune: vision, start_from: {recipe: a}}, a: {tune: vision, save: {what: nothing}}}",
            "a leaves nothing to start from",
        ),
        ("{b: {lora: {rank: 2}, start_from: {recipe: a}}, a: {lora: {rank: 4}}}", "adapter is another than a has"),
        (
            "{b: {tune: vision, lora: {rank: 2}, start_from: {recipe: a}}, a: {lora: {rank: 2}}}",
            "tune is another than a has",
        ),
        (
            "{b: {tune: vision, start_from: {projector: {recipe: a}}}, a: {tune: connector}}",
            "start_from.projector: a leaves no such file (save.what is full)",
        ),
        (
            "{b: {lora: {rank: 2}, start_from: {trainables: {recipe: a}}}, a: {lora: {rank: 2}}}",
            "start_from.trainables: a leaves no such file",
        ),
        (
            "{b: {tune: vision, start_from: {adapter: {recipe: a}}}, a: {lora: {rank: 2}}}",
            "has none to continue it with",
        ),
        ("{b: {tune: vision, start_from: {recipe: a}}, a: {family: g, tune: vision}}", "is of the family g"),
    ],
    ids=[
        "unknown",
        "itself",
        "a circle",
        "an adapter",
        "nothing",
        "another rank",
        "more beside it",
        "no projector",
        "no trainables",
        "an adapter by name",
        "another family",
    ],
)
def test_what_cannot_be_started_from_is_refused_in_one_line(refusal: Refusal, recipes: str, words: str) -> None:
    line = refusal(f"family: f\nrecipes: {recipes}")

    assert words in line
    assert "\n" not in line


PROJECTOR = "p: {tune: connector, save: {what: projector}}"
BESIDE = "{tune: connector, lora: {rank: 2}, save: {beside_adapter: non_lora_trainables.bin}, start_from: START}"
KINDS = [
    ("b: {tune: vision, start_from: {recipe: p}}", "fresh", ["projector p"]),
    ("b: {tune: vision, start_from: {projector: {recipe: p}}}", "fresh", ["projector p"]),
    (
        f"b: {BESIDE.replace('START', '{recipe: c}')}, c: {BESIDE.replace('START', '{recipe: p}')}",
        "fresh",
        ["projector p", "trainables c", "adapter c"],
    ),
    (
        f"b: {BESIDE.replace('START', '{recipe: d}')}, d: {BESIDE.replace('START', '{recipe: c}')}, "
        f"c: {BESIDE.replace('START', 'fresh')}",
        "fresh",
        ["trainables c", "trainables d", "adapter d"],
    ),
    ("b: {tune: vision, start_from: {recipe: w}}, w: {tune: vision, start_from: {recipe: p}}", "w", []),
    ("b: {tune: vision, start_from: {recipe: t}}, t: {tune: vision, save: {what: partial}}", "fresh", ["partial t"]),
    ("b: {tune: vision, start_from: {recipe: n}}, n: {tune: vision, save: {what: native}}", "fresh", ["native n"]),
]


@pytest.mark.parametrize(("recipes", "base", "parts"), KINDS)
def test_what_saves_no_whole_model_is_continued_over_its_own_base(
    read: Read, recipes: str, base: str, parts: list[str]
) -> None:
    recipe = read(f"family: f\nrecipes: {{{PROJECTOR}, {recipes}}}").recipes["b"]

    whole, laid_over = base_and_parts(recipe)

    assert (whole.recipe if isinstance(whole, EarlierRecipe) else whole) == base
    assert [f"{part.kind} {part.source.recipe}" for part in laid_over] == parts


def test_parts_are_named_by_paths_too(read: Read, tmp_path: Path) -> None:
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage" / "mm_projector.bin").touch()

    recipe = read("family: f\nrecipes: {b: {tune: vision, start_from: {projector: stage}}}").recipes["b"]

    assert base_and_parts(recipe) == ("fresh", (PartOf("projector", str(tmp_path / "stage")),))


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("{projector: gone}", "start_from.projector: no directory"),
        ("{base: gone}", "start_from.base: no directory"),
        ("{projektor: gone}", "did you mean projector?"),
        ("stage", "it holds mm_projector.bin: write start_from: {base: BASE, projector: "),
    ],
)
def test_a_part_that_is_not_there_is_refused_with_the_path_that_was_looked_at(
    refusal: Refusal, tmp_path: Path, start: str, words: str
) -> None:
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage" / "mm_projector.bin").touch()

    line = refusal(f"family: f\nrecipes: {{b: {{tune: vision, start_from: {start}}}}}")

    assert words in line
    assert "projektor" in start or str(tmp_path) in line


@pytest.mark.parametrize(("written", "names"), [("2", ("<|added_0|>", "<|added_1|>")), ("[<x>]", ("<x>",))])
def test_added_tokens_are_named_or_counted(read: Read, written: str, names: tuple[str, ...]) -> None:
    suite = read(f"family: f\nrecipes: {{a: {{tune: embeddings, add_tokens: {written}}}}}")

    assert suite.recipes["a"].add_tokens == names
