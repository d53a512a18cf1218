"""trainers.yaml: every trainer has every case, and what its cases name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.intents import read_intent
from trainers.asked import CASES, HERE, Trainer, read_asked
from trainers.inside import main

ASKED = read_asked()
by_name = pytest.mark.parametrize("trainer", ASKED.trainers, ids=lambda trainer: trainer.name)


def test_the_trainers_are_those_that_people_use() -> None:
    assert [one.name for one in ASKED.trainers] == [
        "plain torch",
        "transformers.Trainer",
        "Accelerate loop",
        "PyTorch Lightning",
        "DeepSpeed engine",
        "TRL SFTTrainer",
        "LLaMA-Factory",
        "MiniMind's way",
    ]


@by_name
def test_every_trainer_has_every_case(trainer: Trainer) -> None:
    assert set(trainer.runs) == set(CASES)
    assert trainer.layer is None or set(ASKED.layers[trainer.layer].versions) & set(trainer.shows)


@by_name
def test_intents_and_scripts_are_there_and_healthy_runs_differ_from_others(trainer: Trainer) -> None:
    commands = set()
    for case, run in trainer.runs.items():
        words = trainer.words(case, {"model": "M", "data": "D", "out": "O", "scripts": str(HERE / "scripts")})
        assert all(Path(word).exists() for word in words if word.startswith(str(HERE))), words
        assert sum(bool(re.search(r"(^|=)[MDO]$", word)) for word in words) == 3
        assert read_intent(f"{HERE / 'intents.yaml'}::{run.intent}")
        commands.add(" ".join(words))
    assert len(commands) == len(CASES)


def test_a_further_model_is_for_the_first_case_with_what_it_takes_besides() -> None:
    (trl,) = [one for one in ASKED.trainers if one.also.models]
    places = {"model": "M", "data": "D", "out": "O", "scripts": "S"}
    given = trl.given("transformers:gemma3")
    assert (given.model, list(given.runs)) == ("transformers:gemma3", ["healthy"])
    assert given.words("healthy", places) == [*trl.words("healthy", places), "--max_length", "4096"]
    for name, intent in trl.also.models.items():
        assert read_intent(f"{HERE / 'intents.yaml'}::{intent}").family == name


def test_a_command_in_a_layer_finds_the_layer_after_what_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr("os.execvp", lambda name, words: became.append(words))
    monkeypatch.setenv("PYTHONPATH", "before")
    monkeypatch.setenv("PATH", "bin")

    main("layer", ["trl", "sft"])

    import os

    assert became == [["trl", "sft"]]
    assert os.environ["PYTHONPATH"] == os.pathsep.join(["before", "layer"])
    assert os.environ["PATH"] == os.pathsep.join([str(Path("layer") / "bin"), "bin"])
