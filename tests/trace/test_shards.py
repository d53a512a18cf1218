"""Parts that several processes have written of one run come to what one would have written that had the whole."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.recording.shards import ShardValues
from harness.recording.values import Values
from harness.trace.json_text import parsed
from harness.trace.shards import put_together
from harness.trace.writer import encoded

SHAPES = ((3, 5), (7,), (1,), (4, 4))


class Held(torch.nn.Parameter):
    """A parameter as ZeRO leaves it in one of so many processes: its part, filled up, and nothing in its place."""

    @classmethod
    def of(cls, whole: torch.Tensor, rank: int, world: int) -> Held:
        size = -(-whole.numel() // world)
        filled = torch.zeros(size * world)
        filled[: whole.numel()] = whole.reshape(-1)
        held = cls(torch.empty(0))
        held.ds_numel, held.ds_process_group = whole.numel(), rank
        held.ds_tensor = filled[rank * size : (rank + 1) * size].clone()
        held.ds_tensor.ds_numel = size
        return held


@pytest.fixture(autouse=True)
def _rank_is_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "get_rank", lambda group: group)


def record(values: Any) -> dict[str, Any]:
    found: dict[str, Any] = parsed(encoded({"kind": "optimizer_step", "values": values}).encode())
    return found


@pytest.mark.parametrize("world", [1, 2, 3])
def test_values_of_parts_come_to_those_of_the_whole(world: int) -> None:
    wholes = [torch.randn(shape) for shape in SHAPES]
    held = [[Held.of(whole, rank, world) for whole in wholes] for rank in range(world)]
    alone, parts = Values(wholes), [ShardValues(one) for one in held]
    for whole, *shards in zip(wholes, *held, strict=True):
        whole.view(-1)[0] += 1
        shards[0].ds_tensor[0] += 1

    streams = [
        [{"kind": "deepspeed", "model": "m", "sizes": one.sizes}, record({"m": {**one.observe(), "shard": True}})]
        for one in parts
    ]
    together = put_together(streams)
    columns = record({"m": alone.observe()})["values"]["m"]

    for stream in together:
        found = stream[1]["values"]["m"]
        assert found["fingerprint"] == columns["fingerprint"]
        assert found["changed"] == columns["changed"] == [1] * len(SHAPES)
        assert found["rms"] == pytest.approx(columns["rms"])
        assert found["peak"] == pytest.approx(columns["peak"])


def gradients(reached: list[int], norm: list[float], nonzero: list[int]) -> dict[str, Any]:
    facts = {"moment": "optimizer", "shard": True, "reached": reached, "norm": norm, "nonzero": nonzero}
    return {"kind": "gradients", **facts}


def test_what_any_process_reached_has_a_gradient_and_what_none_did_has_none() -> None:
    first, second = gradients([0], [3.0, 0.0, 0.0], [2, 0, 0]), gradients([1], [4.0, 2.0, 0.0], [1, 5, 0])

    for (found,) in put_together([[first], [second]]):
        assert found["norm"] == [5.0, 2.0, None]
        assert found["nonzero"] == [3, 5, None]


def test_of_what_each_process_has_all_of_each_keeps_its_own() -> None:
    first, second = gradients([0, 1], [3.0, 1.0, 0.0], [2, 1, 0]), gradients([0], [4.0, 0.0, 0.0], [1, 0, 0])
    ours, theirs = put_together([[{**first, "whole": [1, 2]}], [{**second, "whole": [1, 2]}]])

    assert ours[0]["norm"] == [5.0, 1.0, None]
    assert theirs[0]["norm"] == [5.0, None, None]
    assert ours[0]["nonzero"] == [3, 1, None]


def test_values_of_what_each_process_has_all_of_are_its_own() -> None:
    sizes = {"kind": "deepspeed", "model": "m", "sizes": [2, 2]}

    def step(number: int) -> dict[str, Any]:
        columns = {"fingerprint": [format(number, "016x")] * 2, "changed": [number] * 2, "rms": [1.0] * 2}
        return record({"m": {**columns, "peak": [float(number)] * 2, "shard": True, "whole": [1]}})

    streams = put_together([[deepcopy(sizes), step(1)], [deepcopy(sizes), step(2)]])

    for number, (_, made) in zip((1, 2), streams, strict=True):
        assert made["values"]["m"]["fingerprint"] == [format(3, "016x"), format(number, "016x")]
        assert made["values"]["m"]["changed"] == [3, number]
        assert made["values"]["m"]["peak"] == [2.0, number]


def test_what_one_process_did_not_come_to_is_left_out_in_all() -> None:
    part, whole = gradients([0], [1.0], [1]), {"kind": "forward"}

    first, second = put_together([[deepcopy(part), whole, deepcopy(part)], [deepcopy(part), whole]])

    assert [one["kind"] for one in first] == [one["kind"] for one in second] == ["gradients", "forward"]


def test_of_a_step_that_not_all_have_looked_at_it_stays_that_it_was_made() -> None:
    def step(number: int, looked: bool) -> dict[str, Any]:
        columns = {"fingerprint": ["01"], "changed": [1], "rms": [2.0], "peak": [3.0], "shard": True}
        return {"kind": "optimizer_step", "step": number, "values": {"m": columns} if looked else {}}

    sizes = {"kind": "deepspeed", "model": "m", "sizes": [1]}
    first, second = put_together(
        [[sizes, *(step(n, n % 3 == 0) for n in range(7))], [sizes, *(step(n, n % 2 == 0) for n in range(7))]]
    )

    for stream in (first, second):
        assert [one["step"] for one in stream[1:]] == list(range(7))
        assert [one["step"] for one in stream[1:] if one["values"]] == [0, 6]
        assert stream[1]["values"]["m"]["fingerprint"] == [format(2, "016x")]


def test_a_run_without_parts_is_left_as_it_is() -> None:
    other = {"kind": "logged", "model": {"of": "any"}, "optimizer": ["form"]}
    streams = [[{"kind": "forward"}, other, record({"m": {"fingerprint": ["0"], "changed": [0]}})]] * 2

    assert put_together(deepcopy(streams)) == streams


def test_parts_that_do_not_fit_are_damage(tmp_path: Path) -> None:
    from harness.refusal import Refused
    from harness.trace.reader import read_trace

    (tmp_path / "header.json").write_text('{"format": 1}')
    for rank, norms in enumerate(([1.0], [1.0, 2.0])):
        (tmp_path / f"rank-{rank}").mkdir()
        line = encoded(gradients([0], norms, [1] * len(norms)))
        (tmp_path / f"rank-{rank}" / "events.jsonl").write_text(line + "\n")

    with pytest.raises(Refused, match="do not fit together"):
        read_trace(tmp_path)


def test_of_more_than_may_be_copied_nothing_is_kept_and_all_of_what_changed_counts() -> None:
    wholes = [torch.randn(4, 2), torch.randn(3)]
    values, copying = ShardValues(wholes, copied=10), ShardValues(wholes, copied=11)
    wholes[0][0, 0] += 1

    assert (values.held, values.observe()["changed"]) == (0, [8, 0])
    assert (copying.held, copying.observe()["changed"]) == (44, [1, 0])
    assert values.observe()["changed"] == [0, 0]
    assert values.columns["fingerprint"] == copying.columns["fingerprint"]
