"""A matrix in a suite: values with names, and axes of which every pair, or every t, of values meets."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml

from harness.families import check_possible
from harness.recipe import Recipe, Suite, read_suite
from harness.recipe.covering.watched import Reads, Watched
from harness.recipe.rules import RULES
from harness.recipe.schema import suite_schema
from harness.refusal import Refused
from harness.strategies.broken import BREAKS

Read = Callable[[str], Suite]
PAIRS = """
family: llava-1.5-7b
matrix:
  pairwise:
    tune: {connector: [connector], none: []}
    lora: {off: null, r4: {rank: 4}, r8: {rank: 8}}
    save.format: [safetensors, bin]
    optimizer.accumulation: {each: 1, by-2: 2}
recipes:
  a:
"""


def test_recipes_are_named_by_their_values_and_cover_every_pair_that_can_be(read: Read) -> None:
    suite = read(PAIRS)

    assert "a[connector-off-bin-each]" in suite.recipes or "a[connector-off-bin-by-2]" in suite.recipes
    assert all(name.startswith("a[") and name.count("-") >= 3 for name in suite.recipes)
    seen = {
        (recipe.lora.rank if recipe.lora else None, recipe.optimizer.accumulation) for recipe in suite.recipes.values()
    }
    assert seen == {(rank, number) for rank in (None, 4, 8) for number in (1, 2)}
    (covered,) = suite.coverage(suite.recipes)
    assert covered.whole
    assert (covered.ways, covered.axes, covered.product) == (2, 4, 24)
    # of 2*3 + 2*2 + 2*2 + 3*2 + 3*2 + 2*2 pairs, nothing trains in one, an adapter is no bin in two, and where nothing
    # but an adapter can train, the format is no bin either
    assert covered.impossible == {
        "format_of_a_whole_model": 2,
        "format_of_a_whole_model and something_trains": 1,
        "something_trains": 1,
    }
    assert covered.possible == 30 - 4
    assert covered.text == f"all 26 pairs of 4 settings in {len(suite.recipes)} recipes of 24; 4 pairs cannot be"


def test_a_part_of_the_recipes_does_not_claim_the_whole(read: Read) -> None:
    suite = read(PAIRS)
    names = list(suite.recipes)

    for dropped in names:
        (covered,) = suite.coverage([name for name in names if name != dropped])
        assert not covered.whole
        assert covered.text.startswith(
            f"{covered.covered} of 26 pairs of 4 settings in {len(names) - 1} of {len(names)}"
        )
    (one,) = suite.coverage(names[:1])
    assert (one.covered, one.run) == (6, 1)
    assert suite.coverage([]) == ()


def test_an_array_is_the_same_in_every_process(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(PAIRS)
    code = (
        "import sys, pathlib; from harness.recipe import read_suite; "
        "print(*read_suite(pathlib.Path(sys.argv[1])).recipes)"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "s.yaml")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert seen == {" ".join(read_suite(tmp_path / "s.yaml").recipes).encode() + b"\n"}


def test_a_recipe_own_setting_takes_it_out_of_that_axis(read: Read) -> None:
    suite = read(PAIRS.replace("  a:\n", "  a: {lora: {rank: 2}, save: {format: safetensors}, tune: }\n"))

    assert list(suite.recipes) == ["a[by-2]", "a[each]"] or list(suite.recipes) == ["a[each]", "a[by-2]"]
    (covered,) = suite.coverage(suite.recipes)
    assert (covered.ways, covered.text) == (1, "all 2 values of 1 setting in 2 recipes of 2")


def test_a_recipe_with_all_settings_of_its_own_is_one_recipe(read: Read) -> None:
    own = "lora: {rank: 2}, save: {format: safetensors}, tune: , optimizer: {accumulation: 1}"
    suite = read(PAIRS.replace("  a:\n", f"  a: {{{own}}}\n"))

    assert (list(suite.recipes), suite.coverings) == (["a"], ())


def test_beside_plain_axes_each_combination_of_them_is_covered(read: Read) -> None:
    """Weights in pure fp16 have no masters to unscale into: there, and only there, a scaler cannot be."""
    suite = read(
        """
        family: f
        defaults: {tune: vision, quick: true, off: {run.completed: not here}}
        matrix:
          precision: {half: pure-fp16, mixed: fp16}
          pairwise:
            loss_scaler.enabled: ['off', auto]
            steps: [3, 4]
            seed: {zero: 0, one: 1}
        recipes: {a: }
        """
    )
    names = [covering.name for covering in suite.coverings]
    assert names == ["a[half]", "a[mixed]"]
    assert all(one.whole for one in suite.coverage(suite.recipes))
    assert {name.partition("-")[0] for name in suite.recipes} == {"a[half", "a[mixed"}
    assert all(marks.quick and marks.off for marks in suite.marks.values())


def test_values_of_a_plain_axis_may_have_names_too(read: Read) -> None:
    suite = read(
        "family: f\nmatrix: {lora: {off: null, r8: {rank: 8}}, seed: [1, 2]}\nrecipes: {r: {tune: vision}}",
    )

    assert list(suite.recipes) == ["r[off-1]", "r[off-2]", "r[r8-1]", "r[r8-2]"]
    assert [recipe.lora is None for recipe in suite.recipes.values()] == [True, True, False, False]


@pytest.mark.parametrize(("word", "cells"), [("2-way", 4), ("3-way", 8), ("4-way", 16)])
def test_so_many_values_as_are_asked_for_meet(read: Read, word: str, cells: int) -> None:
    axes = "seed: [1, 2], steps: [3, 4], checkpointing: [true, false], tf32: [true, false]"
    suite = read(f"family: f\nmatrix: {{{word}: {{{axes}}}}}\nrecipes: {{r: {{tune: vision}}}}")

    (covered,) = suite.coverage(suite.recipes)
    assert covered.whole
    assert cells <= len(suite.recipes) <= cells + 4
    assert (covered.ways, covered.product) == (int(word[0]), 16)
    assert ("pairs" if word == "2-way" else f"groups of {word[0]} values") in covered.text


def test_what_a_family_cannot_do_is_left_out_and_counted(tmp_path: Path) -> None:
    """A projector's file holds no language model, which the family knows and no rule of recipes."""
    path = tmp_path / "suite.yaml"
    path.write_text(
        "family: llava-1.5-7b\nmatrix: {pairwise: {tune: {connector: [connector], both: [connector, llm]}, "
        "save.what: [full, projector], seed: [0, 1]}}\nrecipes: {r: }"
    )

    suite = read_suite(path, check_possible)

    assert not any(name.startswith("r[both-projector") for name in suite.recipes)
    (covered,) = suite.coverage(suite.recipes)
    assert (covered.whole, dict(covered.impossible)) == (True, {"family llava-1.5-7b": 1})


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        pytest.param("pairwise: ", "matrix: pairwise has no axes", id="nothing"),
        pytest.param("pairwise: {}", "matrix: pairwise has no axes", id="no axes"),
        pytest.param("pairwise: [seed]", "matrix: pairwise is not a mapping of axes", id="a list"),
        pytest.param("pairwise: {1: [1, 2], seed: [1, 2]}", "is not a mapping of axes", id="a number for a setting"),
        pytest.param("pairwise: {seed: [], steps: [1, 2]}", "pairwise: seed is not a list of values", id="empty axis"),
        pytest.param("pairwise: {seed: 3, steps: [1, 2]}", "pairwise: seed is not a list of values", id="a value"),
        pytest.param("pairwise: {seed: [1], steps: [1, 2]}", "pairwise: seed has one value", id="one value"),
        pytest.param("pairwise: {seed: [1, '1'], steps: [1, 2]}", "pairwise: seed has 1 twice", id="twice"),
        pytest.param(
            "pairwise: {seed: {null: 1, b: 2}, steps: [1, 2]}", "seed has a value without a name", id="no name"
        ),
        pytest.param("pairwise: {seed: [1, 2]}", "pairwise combines 2 axes, and there is 1", id="one axis"),
        pytest.param("3-way: {seed: [1, 2], steps: [1, 2]}", "3-way combines 3 axes, and there are 2", id="two axes"),
        pytest.param("1-way: {seed: [1, 2], steps: [1, 2]}", "1-way is out of range", id="too few"),
        pytest.param("7-way: {seed: [1, 2], steps: [1, 2]}", "7-way is out of range", id="too many"),
        pytest.param("{pairwise: {seed: [1, 2]}, 3-way: {}}", "matrix has pairwise and 3-way", id="both"),
        pytest.param(
            "{seed: [1, 2], pairwise: {seed: [1, 2], steps: [1, 2]}}", "seed is in seed, which is an axis", id="in both"
        ),
        pytest.param(
            "pairwise: {lora: [null, {rank: 2}], lora.rank: [1, 2]}",
            "lora.rank is in lora, which is an axis",
            id="part",
        ),
        pytest.param(
            "pairwise: {stepz: [1, 2], seed: [1, 2]}", "unknown setting stepz; did you mean steps?", id="field"
        ),
        pytest.param(
            "pairwise: {optimizer.stepz: [1, 2], seed: [1, 2]}", "unknown setting optimizer.stepz", id="field inside"
        ),
        pytest.param("pairwise: {precision: [fp32, fp8], seed: [1, 2]}", "precision: Input should be", id="value"),
        pytest.param("pairwise: {steps: [0, 1], seed: [1, 2]}", "steps: Input should be greater", id="value too small"),
        pytest.param(
            "pairwise: {save.what: [full, adapter], seed: [1, 2]}",
            "pairwise: save.what adapter is in no recipe that can be: save.what is adapter and the recipe has no",
            id="never",
        ),
        pytest.param(
            "pairwise: {save.half: [true, false], save.format: [bin, safetensors]}",
            "save.half True is in no recipe that can be",
            id="value that needs another",
        ),
    ],
)
def test_what_is_no_matrix_is_refused_in_one_line(refusal: Callable[[str], str], matrix: str, said: str) -> None:
    written = matrix if matrix.startswith("{") else f"{{{matrix}}}"

    assert said in refusal(f"family: f\nmatrix: {written}\nrecipes: {{r: {{tune: vision}}}}")


def test_a_suite_that_covers_needs_a_family_as_any_other(refusal: Callable[[str], str]) -> None:
    text = "matrix: {pairwise: {steps: [1, 2], seed: [1, 2]}}\nrecipes: {r: {tune: vision}}"

    assert ": r: family is missing" in refusal(text)


def test_what_cannot_be_whatever_the_matrix_says_is_refused_as_anywhere(refusal: Callable[[str], str]) -> None:
    text = "family: f\nmatrix: {pairwise: {steps: [1, 2], seed: [1, 2]}}\nrecipes: {r: }"

    assert ": r: tune is empty and there is no adapter" in refusal(text)


def test_families_may_be_an_axis(read: Read) -> None:
    suite = read("matrix: {pairwise: {family: [f, g], seed: [1, 2]}}\nrecipes: {r: {tune: vision}}")

    assert {(recipe.family, recipe.seed) for recipe in suite.recipes.values()} == {
        (family, seed) for family in "fg" for seed in (1, 2)
    }


def test_the_schema_takes_a_matrix_as_the_reader_does() -> None:
    validator = jsonschema.Draft202012Validator(suite_schema())

    assert [error.message for error in validator.iter_errors(yaml.safe_load(PAIRS))] == []
    for wrong in (
        {"pairwise": {}},
        {"pairwise": ["seed"]},
        {"3-way": {"seed": []}},
        {"pairwise": {"seed": [1]}},
        {"seed": 1},
    ):
        assert list(validator.iter_errors({"matrix": wrong, "recipes": {"r": {}}})), wrong


# What a rule read of a recipe decides by itself whether it refuses it: that is how combinations are left out untried.
OTHERWISE = {
    "steps": {"steps": 9},
    "seed": {"seed": 5},
    "precision": {"precision": "bf16"},
    "checkpointing": {"checkpointing": True},
    "data": {"data": {"batch_size": 3, "lazy": True}},
    "optimizer": {"optimizer": {"accumulation": 3, "loss_average": "token"}},
    "engine": {"engine": "trainer"},
    "save": {"save": {"what": "nothing"}},
    "agrees_with": {"agrees_with": ()},
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_rule_decides_by_what_it_reads(name: str) -> None:
    context: dict[str, object] = {}
    broken = Recipe.model_validate({"family": "f", **BREAKS[name]}, context=_later())
    reads = Reads()

    refused = RULES[name](Watched(broken, reads))  # type: ignore[arg-type]

    assert refused is not None
    assert refused == RULES[name](broken)
    assert reads.values | reads.presence
    for setting, change in OTHERWISE.items():
        if not reads.touch(setting) and not any(reads.touch(f"{setting}.{part}") for part in _parts(change)):
            changed = Recipe.model_validate({"family": "f", **BREAKS[name], **change}, context=_later())
            assert RULES[name](changed) == refused, (setting, context)


def _later() -> object:
    from harness.recipe.model import LATER

    return LATER


def _parts(change: dict[str, object]) -> list[str]:
    inside = next(iter(change.values()))
    return list(inside) if isinstance(inside, dict) else []


def test_a_rule_that_reads_more_than_its_two_settings_is_held_to_them_all(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule that looks at a third setting only sometimes: what it did not look at is not refused with it."""

    def sometimes(recipe: Recipe) -> tuple[str, str] | None:
        if recipe.seed == 1 and recipe.steps == 3 and (recipe.tf32 or recipe.optimizer.accumulation == 2):
            return "no", "do not"
        return None

    monkeypatch.setitem(RULES, "sometimes", sometimes)
    suite = read(
        "family: f\nmatrix: {pairwise: {seed: [1, 2], steps: [3, 4], tf32: [false, true], "
        "optimizer.accumulation: {each: 1, by-2: 2}}}\nrecipes: {r: {tune: vision}}"
    )

    (covered,) = suite.coverage(suite.recipes)
    assert covered.whole
    assert covered.possible == 24
    assert not covered.impossible
    assert "r[1-3-False-each]" in suite.recipes


def test_families_that_are_not_written_to_be_watched_are_taken_at_their_word(tmp_path: Path) -> None:
    """A family that raises something else under watch refuses the whole cell, and nothing more."""

    def refuse(recipe: Recipe) -> None:
        if type(recipe) is not Recipe:
            raise TypeError("not one of mine")
        if recipe.seed == 1 and recipe.steps == 3:
            raise Refused("seed 1 and steps 3", do="take others")

    path = tmp_path / "suite.yaml"
    path.write_text(
        "family: f\nmatrix: {pairwise: {seed: [1, 2], steps: [3, 4], tf32: [false, true]}}\n"
        "recipes: {r: {tune: vision}}"
    )
    suite = read_suite(path, refuse)

    (covered,) = suite.coverage(suite.recipes)
    assert (covered.whole, covered.possible, dict(covered.impossible)) == (True, 11, {"family f": 1})
