"""Counts every recorded checkpoint on the meta device, and writes what LoRA would sit on there into docs/published.md.

python docs/published.py count    counts anew, and keeps the numbers in docs/published.json
python docs/published.py          writes the page anew from docs/published.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.families.library.published import Published

HERE = Path(__file__).parent
PAGE, DATA = HERE / "published.md", HERE / "published.json"
COMPUTED = "none found: computed alone"
BEGIN, END = "<!-- written by docs/published.py -->\n", "<!-- end -->\n"


def counted(name: str) -> dict[str, Any]:
    """One checkpoint's parameters by component, and what the usual targets come to there."""
    from collections import Counter

    from harness import stack
    from harness.adapter_sets import lora_plan
    from harness.families import family
    from harness.families.family import components_of
    from harness.planning import unfilled

    stack.quiet()
    chosen = family(f"published:{name}")
    with unfilled():
        model = chosen.meta_model("full")
    found: Counter[str] = Counter()
    for path, parameter in model.named_parameters():
        found[components_of(chosen, path)] += parameter.numel()
    return {"components": dict(found), "lora": lora_plan(chosen, model)}


def table_of(found: Mapping[str, Any]) -> Iterator[str]:
    """Two tables: counts with their sources, and adapters."""
    from harness.families.library.published import checkpoints

    yield "| checkpoint | type | parameters | published count | values from |"
    yield "| --- | --- | ---: | --- | --- |"
    for name, one in checkpoints().items():
        total = sum(found[name]["components"].values())
        beside = f", and {one.beside:,} besides" if one.beside else ""
        note = f": {one.note}" if one.note else ""
        cells = [name, f"`{one.config['model_type']}`", f"{total:,}", _published(one) + beside, one.config_from + note]
        yield f"| {' | '.join(cells)} |"
    recorded = checkpoints().values()
    exact = sum(one.parameters is not None for one in recorded)
    none = sum(one.bounds() is None for one in recorded)
    yield ""
    yield f"Of {len(recorded)} checkpoints {exact} come to the count that was published, to the parameter."
    yield f"Of {len(recorded) - exact - none} rounded numbers alone were found, and their counts round to these."
    yield f"Of {none} nothing was found: what is given is computed alone, and held against nothing."
    yield ""
    sets = list(next(iter(found.values()))["lora"]["sets"])
    yield f"| checkpoint | {' | '.join(f'`{one}`' for one in sets)} | meet no module | meet the tower too |"
    yield f"| --- | {' | '.join('---' for _ in sets)} | --- | --- |"
    for name in checkpoints():
        lora = found[name]["lora"]
        nothing = [one for one, parts in lora["names"].items() if not parts]
        both = [one for one, parts in lora["names"].items() if {"vision", "language"} <= set(parts)]
        cells = [name, *(_cell(lora["sets"][one]) for one in sets), _listed(nothing), _listed(both)]
        yield f"| {' | '.join(cells)} |"


def _published(one: Published) -> str:
    """What was published of the count, and where."""
    if one.parameters is not None:
        return f"the same, from {one.counted_in}"
    bounds = one.bounds()
    if bounds is None:
        return COMPUTED
    said = one.rounded[0] if len(one.rounded) == 1 else " to ".join(f"{count / 10**9:.4g}" for count in bounds) + " B"
    return f"{said}, rounded: {one.counted_in}"


def _cell(one: Mapping[str, Any]) -> str:
    where = [f"{part} {count}" for part, count in one["modules"].items()]
    where += [f"{count} tensors in {part}" for part, count in one["tensors"].items()]
    return one.get("refused") or f"{one['trained']:,}: {', '.join(where)}"


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def page(text: str, found: Mapping[str, Any]) -> str:
    """The page with its tables written anew."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + "\n".join(table_of(found)) + "\n\n" + END + rest.partition(END)[2]


def kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["count"]:
        from harness.families.library.published import checkpoints

        made = {name: counted(name) for name in checkpoints()}
        DATA.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), kept()), encoding="utf-8")
