"""Records of which each process has written its part, put together: as if one had held the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

Record = dict[str, Any]
SHARD, WHOLE = "shard", "whole"
GRADIENTS = {"norm", "nonzero"}
COLUMNS = {*GRADIENTS, "fingerprint", "changed", "changed_since_last_step", "rms", "peak"}
_WORD = 1 << 64


def put_together(streams: Sequence[list[Record]]) -> list[list[Record]]:
    """The streams of all processes of a run, in each the whole of what they have parts of.

    Where one of them has ended early, its part of what came later is nowhere: all end there. Of a step that not all
    have looked at, all keep that it was made.
    """
    kept = list(_common(streams))
    counted = [iter(_parts(stream)) for stream in kept]
    sizes = _sizes(kept)
    wholes = [_whole(parts, sizes) for parts in zip(*counted, strict=False)]
    return [_with(stream, wholes) for stream in kept]


def _parts(stream: Sequence[Record]) -> Iterator[Record]:
    return (record for record in stream if _is_part(record))


def _is_part(record: Record) -> bool:
    return bool(record.get(SHARD)) or any(columns.get(SHARD) for columns in (record.get("values") or {}).values())


def _common(streams: Sequence[list[Record]]) -> Iterator[list[Record]]:
    """Each stream with the parts that all processes have written, and what of it is no part."""
    named = [list(zip(stream, _names(stream), strict=True)) for stream in streams]
    parts = set.intersection(*({name for record, name in one if _is_part(record)} for one in named))
    made = set.intersection(*({name for record, name in one if record["kind"] == "optimizer_step"} for one in named))
    for one in named:
        kept = []
        for record, name in one:
            if _is_part(record) and name not in parts:
                if name not in made:
                    continue
                record["values"] = {}
            kept.append(record)
        yield kept


def _names(stream: Sequence[Record]) -> Iterator[tuple[Any, ...]]:
    """What each part and each step is called in the streams of all processes, a second one of a name by its number too;
    and nothing what is neither."""
    seen: Counter[tuple[Any, ...]] = Counter()
    for record in stream:
        if not (_is_part(record) or record["kind"] == "optimizer_step"):
            yield ()
            continue
        name = tuple(record.get(key) for key in ("kind", "step", "micro", "moment", "optimizer", "model"))
        seen[name] += 1
        yield *name, seen[name]


def _sizes(streams: Sequence[list[Record]]) -> dict[str, list[list[int]]]:
    """By model, how many elements of each parameter each process has."""
    found: dict[str, list[list[int]]] = {}
    for stream in streams:
        told = {one["model"]: list(one["sizes"]) for one in reversed(stream) if one.get("sizes")}
        for model, sizes in told.items():
            found.setdefault(model, []).append(sizes)
    return found


def _with(stream: list[Record], wholes: Sequence[Record]) -> list[Record]:
    """The stream with the whole in the place of each part; what only its own process has stays."""
    left = iter(wholes)
    for record in stream:
        if _is_part(record):  # in place: a record knows the file that it is of
            record.update(_with_own(record, next(left)))
    return stream


def _with_own(record: Record, put: Record) -> Record:
    """What was put together, but for what each process has all of: of that, what this one has."""
    if record["kind"] == "gradients":
        reached = set(record["reached"])
        told = {
            name: [n if i in reached else None for i, n in enumerate(record[name])] for name in GRADIENTS & put.keys()
        }
        return _own(put, told, record.get(WHOLE, ()))
    if "values" not in put:
        return _own(put, record, record.get(WHOLE, ()))
    pairs = ((model, columns, record["values"][model]) for model, columns in put["values"].items())
    return {"values": {model: _own(columns, mine, mine.get(WHOLE, ())) for model, columns, mine in pairs}}


def _own(put: Record, mine: Record, whole: Sequence[int]) -> Record:
    """Columns with the entries of such indices from this process's own."""
    kept = set(whole)
    columns = {name: column for name, column in put.items() if kept and name in COLUMNS}
    return {**put, **{n: [mine[n][i] if i in kept else one for i, one in enumerate(c)] for n, c in columns.items()}}


def _whole(parts: Sequence[Record], sizes: dict[str, list[list[int]]]) -> Record:
    first = parts[0]
    if first["kind"] == "gradients":
        return _gradients(parts)
    if first["kind"] == "parameters":
        return {
            "fingerprint": _added([part["fingerprint"] for part in parts]),
            "rms": _roots([part["rms"] for part in parts], sizes.get(first["model"], [])),
            SHARD: False,
        }
    if first["kind"] == "final":
        return {
            "fingerprint": _added([part["fingerprint"] for part in parts]),
            "changed_since_last_step": _summed([part["changed_since_last_step"] for part in parts]),
            "not_finite": sorted({index for part in parts for index in part.get("not_finite", ())}),
            SHARD: False,
        }
    values = {}
    for model in first["values"]:
        columns = [part["values"][model] for part in parts]
        if not columns[0].get(SHARD):
            values[model] = columns[0]
            continue
        values[model] = {
            "fingerprint": _added([one["fingerprint"] for one in columns]),
            "changed": _summed([one["changed"] for one in columns]),
            "rms": _roots([one["rms"] for one in columns], sizes.get(model, [])),
            "peak": [max(map(float, peaks)) for peaks in zip(*(one["peak"] for one in columns), strict=True)],
        }
    return {"values": values}


def _gradients(parts: Sequence[Record]) -> Record:
    """Gradients of which each process has a part: their squares add up; what no backward pass reached has none."""
    reached = {index for part in parts for index in part["reached"]}
    squares = [sum(float(n) ** 2 for n in norms) for norms in zip(*(part["norm"] for part in parts), strict=True)]
    norms = [square**0.5 if index in reached else None for index, square in enumerate(squares)]
    whole: Record = {"norm": norms, SHARD: False}
    if "nonzero" in parts[0]:
        counts = _summed([part["nonzero"] for part in parts])
        whole["nonzero"] = [count if index in reached else None for index, count in enumerate(counts)]
    return whole


def _added(columns: Sequence[list[str]]) -> list[str]:
    """Fingerprints of parts, added modulo 2**64."""
    return [format(sum(int(one, 16) for one in row) % _WORD, "016x") for row in zip(*columns, strict=True)]


def _summed(columns: Sequence[list[int]]) -> list[int]:
    return [sum(row) for row in zip(*columns, strict=True)]


def _roots(columns: Sequence[list[float]], sizes: list[list[int]]) -> list[float]:
    """The root of the mean square of wholes, from those of their parts."""
    rows = zip(zip(*columns, strict=True), zip(*sizes, strict=True), strict=True)
    return [
        (sum(float(rms) ** 2 * size for rms, size in zip(roots, of, strict=True)) / max(1, sum(of))) ** 0.5
        for roots, of in rows
    ]
