"""What carries it out: DeepSpeed's settings, checkpointing, attention, logging, interruptions, ways that must agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from harness.strategies.adapters import carriers
from harness.strategies.data import only_blank

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from harness.strategies.families import FamilyFacts

Settings = dict[str, Any]
SELDOM = 5  # times that nothing is asked for once that something is: each costs runs of its own


@dataclass(frozen=True)
class Setup:
    """What was drawn before, which the rest has to go with."""

    facts: FamilyFacts
    engine: str
    processes: int
    steps: int
    precision: str
    adapter: Settings | None
    tune: Settings
    scaler: Settings

    @property
    def method(self) -> str:
        return str(self.adapter.get("method", "lora")) if self.adapter else ""

    @property
    def alone(self) -> bool:
        """Whether it is a plain loop in one process, the only kind that logs and leaves checkpoints."""
        return self.engine == "torch" and self.processes == 1


def deepspeeds(setup: Setup) -> SearchStrategy[Settings]:
    if setup.engine != "deepspeed":
        return st.just({})
    ways: list[Settings] = [{"stage": stage} for stage in (2, 0, 1, 3)]
    ways += [{"stage": stage, "offload_optimizer": True} for stage in (1, 2, 3)]
    ways += [{"stage": 3, "offload_parameters": True}, {"stage": 2, "gather_on_save": False}]
    return st.sampled_from(ways)


def checkpointing(setup: Setup) -> SearchStrategy[Any]:
    """Prefixes have no cache to lie in where layers are computed again. Reentrant is for one process, and for layers
    whose input wants a gradient: a tower's does where its first layer trains."""
    if setup.method == "prefix_tuning":
        return st.just(False)
    facts = setup.facts
    with_embeddings = setup.tune.get("embeddings") == "all" or bool({"llm", "all"} & set(setup.tune))
    possible = facts.recomputes_with_embeddings if with_embeddings else facts.recomputes
    reentrant = setup.alone and not _within_the_tower(setup)
    return st.sampled_from([False, *(one for one in possible if one is True or reentrant)])


def _within_the_tower(setup: Setup) -> bool:
    """Whether something trains behind layers of the tower that do not."""
    adapted = setup.adapter is not None and "vision" in carriers(setup.adapter)
    return adapted or any("last" in setup.tune.get(one, ()) for one in ("vision", "vision_aux"))


def attentions(setup: Setup) -> SearchStrategy[str | None]:
    return st.sampled_from([None, "eager", "sdpa"] if setup.facts.attention else [None])


def loggings(setup: Setup) -> SearchStrategy[str | None]:
    return st.sampled_from([None, "csv"] if setup.alone else [None])


def interruptions(setup: Setup) -> SearchStrategy[int | None]:
    """What AdaLoRA has measured of its ranks is in no checkpoint."""
    if not setup.alone or setup.method == "adalora":
        return st.none()
    return st.sampled_from([*[None] * SELDOM, *range(1, setup.steps)])


def budgets(setup: Setup) -> SearchStrategy[Settings]:
    """Of memory, which is what a recipe needs by arithmetic; how fast a step is depends on the machine."""
    seen = setup.processes == 1 and setup.engine != "deepspeed"
    return st.sampled_from([*[{}] * SELDOM, {"memory": True}] if seen else [{}])


@st.composite
def agreements(draw: DrawFn, setup: Setup, rest: Settings) -> list[str]:
    """One way of making the same run that must come to the same, or none; `rest` is what was drawn besides.

    Where experts are chosen by weights in 16 bits, a unit of rounding chooses others: no sum may be made in another
    order, nor in another precision. Blank pictures alone leave a tower that trains gradients of nothing but rounding,
    which AdamW makes steps of.
    """
    optimizer, scaler = rest["optimizer"], setup.scaler
    of_tokens = optimizer["loss_average"] == "token"
    low = scaler.get("init_scale") is not None or scaler.get("enabled") == "off"
    drops = bool(setup.adapter and setup.adapter.get("dropout"))
    data = rest["data"]
    together = data["batch_size"] * optimizer["accumulation"] * setup.processes
    whole = setup.processes == 1 or not data.get("samples", 0) % together
    in_short = setup.precision == "bf16" or (setup.precision == "fp16" and low)
    chosen_by_rounding = setup.facts.experts and setup.precision.startswith("pure-")
    in_any_order = not drops and not chosen_by_rounding and not setup.facts.evenly_loaded
    possible = {
        "one-batch": of_tokens and optimizer["accumulation"] > 1 and whole and in_any_order,
        "no-checkpointing": bool(rest["checkpointing"]),
        "fp32": in_short and not only_blank(data) and not setup.facts.experts,
        "eager": bool(data.get("lazy")),
        "one-process": setup.processes > 1 and of_tokens and in_any_order,
        "eager-attention": setup.facts.attention and rest["attention"] != "eager" and not chosen_by_rounding,
        "torch": setup.engine == "trainer" and not drops,
        "uninterrupted": rest["interrupted_after"] is not None,
    }
    ways = [name for name, holds in possible.items() if holds]
    return draw(st.sampled_from([*[[]] * SELDOM, *([one] for one in ways)]))
