"""What differs between library versions, each difference on both of its sides."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from harness import stack
from harness.families import check_possible
from harness.recipe import Recipe, read_suite
from harness.refusal import Refused


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch):
    """Pretend that other versions of libraries are installed."""

    def pretend(**versions: str) -> None:
        monkeypatch.setattr(stack, "versions", lambda: versions)

    return pretend


@pytest.mark.parametrize(("version", "release"), [("4.45.2", (4, 45)), ("5.0.0rc1", (5, 0)), ("2.13.0+cpu", (2, 13))])
def test_a_release_is_two_numbers(installed, version: str, release: tuple[int, int]):
    installed(torch=version)
    assert stack.release("torch") == release


@pytest.mark.parametrize(("version", "keyword"), [("4.55.4", "torch_dtype"), ("4.56.0", "dtype"), ("5.23.0", "dtype")])
def test_dtype_was_renamed(installed, version: str, keyword: str):
    installed(transformers=version)
    assert stack.dtype_argument("float32") == {keyword: "float32"}


@pytest.mark.parametrize(
    ("version", "folder"), [("4.45.2", "minicpm-v-2_6"), ("4.56.2", "minicpm-v-2_6"), ("4.57.0", "minicpm-v-2.6")]
)
def test_a_folder_of_code_has_no_dot_where_that_is_no_module(installed, version: str, folder: str):
    installed(transformers=version)
    assert stack.folder_of_code("minicpm-v-2.6") == folder


def test_a_processor_that_does_not_say_its_image_token_has_it_looked_up():
    tokens = {"<image>": 7}
    old = SimpleNamespace(image_token="<image>", tokenizer=SimpleNamespace(convert_tokens_to_ids=tokens.get))
    assert stack.image_token_id(old) == 7
    assert stack.image_token_id(SimpleNamespace(image_token_id=0, image_token="<image>")) == 0


def test_what_is_too_old_is_refused_by_name_with_the_release_that_is_needed(installed):
    installed(transformers="4.45.2")
    needs = (stack.Since("transformers", (4, 49), "why"),)
    with pytest.raises(
        Refused, match=r"some-model needs transformers 4\.49, and 4\.45\.2 is installed: why"
    ) as refused:
        stack.refuse_older("some-model", needs)
    assert refused.value.do == "pip install 'transformers>=4.49'"


@pytest.mark.parametrize(
    ("version", "torchvision", "refused"),
    [
        ("5.3.0", False, False),
        ("5.4.0", False, True),
        ("5.17.0", False, True),
        ("5.17.0", True, False),
        ("5.18.0", False, False),
    ],
)
def test_pictures_need_torchvision_where_the_library_takes_all_image_processors_for_its(
    installed, monkeypatch: pytest.MonkeyPatch, version: str, torchvision: bool, refused: bool
):
    installed(transformers=version)
    monkeypatch.setattr(stack, "has", lambda library: torchvision)
    recipe = Recipe(family="llava-1.5-7b", tune="connector")
    if not refused:
        check_possible(recipe)
        return
    with pytest.raises(Refused, match=f"transformers {version} loads no image processor") as found:
        check_possible(recipe)
    assert "pip install --no-deps torchvision" in found.value.do
    check_possible(Recipe.model_construct(**{**dict(recipe), "size": "full"}))  # a plan loads none


@pytest.mark.parametrize("version", ["4.49.0", "4.57.6", "5.0.0"])
def test_what_is_new_enough_is_not_refused(installed, version: str):
    installed(transformers=version)
    needs = (stack.Since("transformers", (4, 49), "why"), stack.Since("other", (9, 0), "why"))
    stack.refuse_older("some-model", needs)  # raises nothing; what comes out of one release later is refused
    with pytest.raises(Refused, match="needs transformers 9"):
        stack.refuse_older("some-model", (*needs, stack.Since("transformers", (9, 0), "why")))


@pytest.mark.parametrize(
    ("family", "lacking", "having"),
    [
        ("mini-gemini-7b", "4.48.3", "4.49.0"),
        ("minicpm-v-4.6", "5.6.2", "5.7.0"),
        ("minicpm-v-4.7", "5.17.0", "5.18.0"),
    ],
)
def test_a_family_is_refused_under_releases_that_cannot_have_it(
    installed, monkeypatch: pytest.MonkeyPatch, family: str, lacking: str, having: str
):
    monkeypatch.setattr(stack, "has", lambda library: True)
    settings = {"family": family, "size": "tiny", "tune": ["connector"], "steps": 1}
    settings |= {"trust_remote_code": True} if family.startswith("mini-gemini") else {}
    recipe = Recipe.model_validate(settings)
    installed(transformers=lacking)
    with pytest.raises(Refused, match=f"{family} needs transformers"):
        check_possible(recipe)
    installed(transformers=having)
    check_possible(recipe)


def test_every_recipe_of_the_main_suite_is_possible_under_the_oldest_supported_release(installed):
    installed(transformers="4.45.2", peft="0.13.2")
    for recipe in read_suite(Path("suites/llava.yaml")).recipes.values():
        check_possible(recipe)


def test_both_ways_of_making_a_llama_tokenizer_cut_text_alike():
    """transformers 5 is given vocabulary and merges; before, a finished tokenizers object."""
    from harness.families.tokenizers import llama_bpe, llama_tokenizer, shipped_text

    texts = [*shipped_text()[:8], "two  spaces, Ünïcode ☃ and\nlines", "", " leading"]
    core = stack.llama_core(*llama_bpe(600, shipped_text()))
    whole = llama_tokenizer(600, shipped_text(), legacy=False)
    cut = [core.encode(text, add_special_tokens=False).ids for text in texts]
    assert cut == [whole(text, add_special_tokens=False)["input_ids"] for text in texts]
    assert [core.decode(ids) for ids in cut] == [whole.decode(ids) for ids in cut]
