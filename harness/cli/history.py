"""`harness history`: what past runs came to, and what of time and numbers has moved since."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.shown import AsJson, print_columns, print_json
from harness.refusal import Refused
from harness.wording import count

if TYPE_CHECKING:
    from harness.history.past import PastRecipe, PastRun
    from harness.history.trends import Moved, Trend

FILE = Path(".harness") / "history.sqlite"
_SHOWN = 10  # runs listed above the recipes


def history(
    recipe: Annotated[
        str | None, typer.Argument(help="only recipes like this, as in 'llava/*'", show_default=False)
    ] = None,
    file: Annotated[Path, typer.Option("--history", help="the file of past runs")] = FILE,
    last: Annotated[int, typer.Option("--last", help="how many runs to look at", min=1)] = 20,
    as_json: AsJson = False,
) -> int:
    """How long the recipes of past runs took and which numbers they came to: what is slower, and what moved when."""
    from harness.history.store import History
    from harness.history.trends import trends

    if not file.exists():
        raise Refused("there is no history yet", where=str(file), do="harness run keeps one, or name its file")
    with History(file) as kept:
        if kept.aside:
            raise Refused(
                f"could not be read and lies now at {kept.aside}", where=str(file), do="begin again, or mend it"
            )
        runs, number = kept.runs(last), kept.count()
    found = trends(runs)
    if recipe is not None:
        found = [one for one in found if fnmatch.fnmatchcase(one.recipe, recipe.replace("[", "[[]"))]
        if not found:
            raise Refused(
                f"no recipe like {recipe!r} in the last {len(runs)} runs", where=str(file), do="see harness history"
            )
    if as_json:
        print_json(_record(runs, found))
    elif recipe is not None and len(found) == 1:
        _print_one(found[0])
    else:
        _print_all(runs, number, found, listed=recipe is not None)
    return 0


def _print_all(runs: Sequence[PastRun], number: int, found: Sequence[Trend], listed: bool) -> None:

    shown = runs[-_SHOWN:]
    print(f"runs, the last {len(shown)} of {number}")
    print_columns([[f"  {_when(run)}", _commit(run), _recipes(run), _took(run), _counts(run.recipes)] for run in shown])
    newest = runs[-1] if runs else None
    if listed:
        print()
        print_columns([[one.recipe, one.bars, _seconds(one), _last_moved(one)] for one in found])
    moved = [one for one in found if one.runs[-1] is newest and one.moved[-1]]
    slower = [one for one in found if one.runs[-1] is newest and one.slower]
    _print_list("whose numbers moved in the last run", [[one.recipe, str(one.moved[-1])] for one in moved])
    _print_list("slower than their median", [[one.recipe, one.bars, _seconds(one)] for one in slower])
    print(f"\n{count(len(found), 'recipe')}: {len(moved)} moved, {len(slower)} slower")


def _print_list(title: str, rows: list[list[str]]) -> None:
    if rows:
        print(f"\nrecipes {title}")
        print_columns([[f"  {row[0]}", *row[1:]] for row in rows])


def _print_one(trend: Trend) -> None:
    """Run by run."""
    print(f"{trend.recipe}    {trend.bars}    {_seconds(trend)}")
    rows = [
        [f"  {_when(run)}", _commit(run), _second(one.seconds), _loss(one), _counts([one]), _remarks(one, moved)]
        for run, one, moved in zip(trend.runs, trend.past, trend.moved, strict=True)
    ]
    print_columns(rows)


def _remarks(one: PastRecipe, moved: Moved | None) -> str:
    """What did not pass, a golden that it drifted from among that, and how the numbers moved."""
    loud = ", ".join(f"{check} {status.replace('_', ' ')}" for check, status in one.loud)
    return "    ".join(filter(None, [str(moved or ""), loud]))


def _when(run: PastRun) -> str:
    return run.ended.replace("T", " ")[:16]


def _commit(run: PastRun) -> str:
    return (run.commit or "no commit")[:10]


def _recipes(run: PastRun) -> str:
    what = f", {run.selection}" if run.selection else ""
    return f"{count(len(run.recipes), 'recipe')}{what}{', interrupted' * run.interrupted}"


def _took(run: PastRun) -> str:
    return f"{sum(one.seconds or 0.0 for one in run.recipes):.1f} s"


def _counts(recipes: Sequence[PastRecipe]) -> str:
    total: dict[str, int] = {}
    for one in recipes:
        for status, number in one.statuses.items():
            total[status] = total.get(status, 0) + number
    return ", ".join(f"{number:,} {status.replace('_', ' ')}" for status, number in total.items())


def _loss(one: PastRecipe) -> str:
    last = next((value for value in reversed(one.numbers.losses) if value is not None), None)
    return "no loss" if last is None else f"last loss {last:.6g}"


def _second(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f} s"


def _seconds(one: Trend) -> str:
    before = one.median_before
    now = _second(one.seconds[-1]) if one.seconds else "no time"
    return f"{now} after a median of {before:.1f} s" if before is not None else now


def _last_moved(one: Trend) -> str:
    """When its numbers last moved, and how."""
    found = [(run, moved) for run, moved in zip(one.runs, one.moved, strict=True) if moved]
    return f"{_when(found[-1][0])}: {found[-1][1]}" if found else f"the same in {len(one.runs)} runs"


def _record(runs: Sequence[PastRun], found: Sequence[Trend]) -> dict[str, Any]:
    facts = [
        {"ended": run.ended, "commit": run.commit, "environment": dict(run.environment), "selection": run.selection}
        | {"interrupted": run.interrupted, "recipes": len(run.recipes)}
        for run in runs
    ]
    return {"runs": facts, "recipes": {one.recipe: _trend_record(one) for one in found}}


def _trend_record(one: Trend) -> Mapping[str, Any]:
    rows = [
        {
            "ended": run.ended,
            "seconds": past.seconds,
            "losses": list(past.numbers.losses),
            "weights": past.numbers.weights,
        }
        | {"statuses": dict(past.statuses), "not_quiet": [list(pair) for pair in past.loud]}
        | {"moved": str(moved) if moved else None}
        for run, past, moved in zip(one.runs, one.past, one.moved, strict=True)
    ]
    return {"slower": one.slower, "median_before": one.median_before, "runs": rows}
