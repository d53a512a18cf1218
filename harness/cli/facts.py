"""`harness list`, `harness plan` and `harness schema`: facts, without training."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.shown import AsJson, print_columns, print_json


class Things(str, Enum):
    families = "families"
    checks = "checks"
    faults = "faults"
    suites = "suites"


def list_things(
    what: Annotated[Things, typer.Argument(help="what to list", show_default=False)], as_json: AsJson = False
) -> int:
    """List families, checks, faults or suites."""
    records = {"families": _families, "checks": _checks, "faults": _faults, "suites": _suites}[what.value]()
    if as_json:
        print_json(records)
    elif records:
        print_columns([[_cell(value) for value in record.values()] for record in records])
    return 0


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _families() -> list[dict[str, Any]]:
    from harness.families import family, names
    from harness.families.library.listing import listed_checkpoints, listed_types

    found = {name: family(name) for name in names()}  # an installed one goes by the name it is installed under
    own = [{"name": name, "sizes": list(one.sizes), "description": one.description} for name, one in found.items()]
    return [*own, *listed_types(), *listed_checkpoints()]


def _checks() -> list[dict[str, Any]]:
    """Those of recipes and intents first, then those of any training but for the one that has the same name."""
    from harness.checks import CHECKS
    from harness.checks.universal import UNIVERSAL

    known = {check.name for check in CHECKS}
    own = [check for check in UNIVERSAL if check.name not in known]
    return [
        {"name": one.name, "title": one.title, "source": one.source, "judges": what}
        for checks, what in ((CHECKS, "recipes and intents"), (own, "any training"))
        for one in checks
    ]


def _faults() -> list[dict[str, Any]]:
    from harness.faults import FAULTS

    return [
        {
            "name": one.name,
            "size": one.size,
            "caught_by": one.caught_by,
            "description": one.description,
            "applies": one.where,
        }
        for one in FAULTS.values()
    ]


def _suites() -> list[dict[str, Any]]:
    from harness.cli.suites import suites_at

    folder = Path("suites")
    suites = suites_at([folder]) if folder.is_dir() else []
    return [{"path": str(s.path), "recipes": len(s.recipes), "description": s.description} for s in suites]


def plan(
    what: Annotated[str, typer.Argument(help="a suite, or a family", show_default=False)],
    size: Annotated[str, typer.Option(help="full or tiny")] = "full",
    gpus: Annotated[str | None, typer.Option(help="will it fit? so many GPUs of so many GB: 4x24")] = None,
    host: Annotated[float | None, typer.Option(help="memory of the host in GB; none: shown, not judged")] = None,
    tokens: Annotated[int, typer.Option(help="tokens at a time on each GPU, those of pictures included", min=1)] = 2048,
    trust: Annotated[bool, typer.Option("--trust-remote-code", help="run code that comes with a directory")] = False,
    as_json: AsJson = False,
) -> int:
    """Counts, what each tuning mode trains, and whether it fits, on the meta device: no weights are made."""
    from harness.memory import machine_from
    from harness.planning import Question, family_plan, suite_plan
    from harness.refusal import Refused

    if size not in ("full", "tiny"):
        raise Refused(f"no size {size!r}", do="use full or tiny")
    if host is not None and not gpus:
        raise Refused("--host without --gpus: there is no machine to plan for", do="add --gpus, as in --gpus 4x24")
    question = Question(machine_from(gpus, host), tokens) if gpus else None
    path = Path(what)
    is_suite = path.suffix in (".yaml", ".yml")
    planned = suite_plan(path, size, question) if is_suite else family_plan(what, size, question, trust)
    if as_json:
        print_json(planned)
        return 0
    for family in planned if isinstance(planned, list) else [planned]:
        _print_plan(family)
        if "memory" in family:
            _print_memory(family["memory"])
    return 0


def _print_plan(planned: dict[str, Any]) -> None:
    print(f"{planned['family']} ({planned['size']}): {planned['total']:,} parameters")
    print_columns([[f"  {name}", f"{count:>16,}"] for name, count in planned["components"].items()])
    print("trained by")
    print_columns([[f"  {name}", _with_adapter(planned, name)] for name in planned["modes"]])
    _print_lora(planned["lora"])


def _print_lora(lora: dict[str, Any]) -> None:
    """What the usual targets come to, and the names by which they miss a part or meet another one than meant."""
    print(f"LoRA of rank {lora['rank']} on")
    print_columns([[f"  {name}", f"{one['trained']:>13,}", _where(one)] for name, one in lora["sets"].items()])
    names = lora["names"]
    beside = ", ".join(f"{name} in {part}" for part, found in lora["experts"].items() for name in found)
    for text, those in (
        ("meet no module", [name for name, parts in names.items() if not parts]),
        ("meet modules in vision too", [name for name, parts in names.items() if {"vision", "language"} <= set(parts)]),
    ):
        if those:
            print(f"  {', '.join(those)}: {text}")
    if beside:
        print(f"  experts are one tensor, which no name of a module meets: {beside}")


def _where(one: dict[str, Any]) -> str:
    """How many modules of each component carry it, and how many tensors; or why there is none."""
    modules = [f"{part} {count}" for part, count in one["modules"].items()]
    tensors = [f"{count} tensors in {part}" for part, count in one["tensors"].items()]
    return one.get("refused") or ", ".join([*modules, *tensors])


def _with_adapter(planned: dict[str, Any], mode: str) -> str:
    """What a mode trains, and how much of that is an adapter's own."""
    adapter = planned["adapters"].get(mode)
    of_which = "" if adapter is None else f"  of which adapter {adapter:>13,}"
    return f"{planned['modes'][mode]:>16,}{of_which}"


def _print_memory(memory: dict[str, Any]) -> None:
    """A table of modes and strategies, in GiB."""
    gib = 2**30
    host = f" and a host of {memory['host_bytes'] / gib:g} GiB" if memory["host_bytes"] else ""
    print(
        f"on {memory['gpus']} x {memory['gpu_bytes'] / gib:g} GiB{host}, in GiB, by {memory['estimated_by']}; "
        f"activations of {memory['tokens']:,} tokens in 16 bits under checkpointing"
    )
    print_columns(
        [
            ["  tuning", "strategy", "on each GPU", "activations", "  on host", "fits"],
            *(
                [
                    f"  {mode}",
                    strategy,
                    f"{need['gpu'] / gib:11.1f}",
                    f"{need['activations'] / gib:11.1f}",
                    f"{need['host'] / gib:9.1f}",
                    "yes" if need["fits"] else "no",
                ]
                for mode, planned in memory["modes"].items()
                for strategy, need in planned["strategies"].items()
            ),
        ]
    )
    print(f"not included: {memory['not_included']}")


def schema(
    of_intent: Annotated[bool, typer.Option("--intent", help="that of an intent file instead")] = False,
) -> int:
    """Print the JSON Schema of a suite, or of an intent file."""
    if of_intent:
        from harness.intents.schema import intent_schema

        print_json(intent_schema())
        return 0
    from harness.recipe.schema import suite_schema

    print_json(suite_schema())
    return 0
