"""`harness plan --gpus`: whether each way of tuning fits on a machine, as a table and as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.memory import STRATEGIES
from harness.memory.machine import GIB

FAMILY = "llava-1.5-7b"


@pytest.fixture
def one_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    modes = {
        "connector+llm": {"tune": ["connector", "llm"]},
        "lora": {"lora": {"targets": r".*language_model.*q_proj"}},
    }
    monkeypatch.setattr("harness.families.llava.Llava.modes", lambda family: modes)


@pytest.mark.usefixtures("one_mode")
def test_each_mode_and_strategy_has_its_bytes_and_its_answer(call: Any) -> None:
    ran = call("plan", FAMILY, "--gpus", "4x24", "--json")
    plan = json.loads(ran.out)
    memory = plan["memory"]

    assert (memory["gpus"], memory["gpu_bytes"], memory["host_bytes"], memory["tokens"]) == (4, 24 * GIB, None, 2048)
    assert set(memory["modes"]) == set(plan["modes"])
    for mode, found in memory["modes"].items():
        assert found["trained"] == plan["modes"][mode]
        assert set(found["strategies"]) == set(STRATEGIES)
        for need in found["strategies"].values():
            assert need["fits"] == (need["gpu"] + need["activations"] <= 24 * GIB)
    full = memory["modes"]["connector+llm"]
    assert full["trained"] + full["frozen"] == plan["total"]
    assert memory["modes"]["lora"]["frozen"] == plan["total"]
    assert full["strategies"]["zero2 + offload"]["gpu"] == 2 * plan["total"]


@pytest.mark.usefixtures("one_mode")
def test_the_table_has_a_line_for_each_and_says_what_it_leaves_out(call: Any) -> None:
    memory = json.loads(call("plan", FAMILY, "--gpus", "1x80", "--host", "64", "--json").out)["memory"]

    lines = call("plan", FAMILY, "--gpus", "1x80", "--host", "64").out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("on 1 x 80 GiB and a host of 64 GiB"))

    assert memory["estimated_by"] in lines[start]
    assert lines[-1] == f"not included: {memory['not_included']}"
    answers = [line.split()[-1] for line in lines[start + 2 : -1]]
    assert answers == [
        "yes" if need["fits"] else "no" for found in memory["modes"].values() for need in found["strategies"].values()
    ]
    assert set(answers) == {"yes", "no"}


@pytest.mark.usefixtures("one_mode")
def test_more_tokens_need_more(call: Any) -> None:
    def activations(tokens: str) -> int:
        plan = json.loads(call("plan", FAMILY, "--gpus", "1x80", "--tokens", tokens, "--json").out)
        found: int = plan["memory"]["modes"]["lora"]["strategies"]["zero2"]["activations"]
        return found

    assert activations("4096") == 2 * activations("2048") > 0


def test_a_model_is_built_once_however_many_ways_there_are(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.families.llava import Llava

    built, original = [], Llava.meta_model
    monkeypatch.setattr(Llava, "meta_model", lambda family, size: built.append(size) or original(family, size))

    assert call("plan", FAMILY, "--size", "tiny").status == 0
    assert built == ["tiny"]


def test_without_a_machine_nothing_is_said_of_memory(call: Any) -> None:
    assert "memory" not in json.loads(call("plan", FAMILY, "--size", "tiny", "--json").out)


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        (("--gpus", "4by24"), "--gpus 4by24: no such machine; write how many and of how many GB, as in 4x24"),
        (("--host", "64"), "--host without --gpus: there is no machine to plan for; add --gpus, as in --gpus 4x24"),
        (("--gpus", "4x24", "--host", "0"), "--host 0: no memory; give the host's memory in GB"),
    ],
)
def test_a_machine_that_is_none_is_refused(given: tuple[str, ...], refusal: str, call: Any) -> None:
    assert call("plan", FAMILY, *given).refusal == refusal
