"""Towers that are made anew from directories of their own: the checkpoint's weights are unused, and may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.checks.expected import should_train
from harness.checks.needs import Base, Need, Parameters, ReloadIfSaved
from harness.checks.registry import check
from harness.checks.saved_tensors import saved_by_key
from harness.result import Finding, Reason
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class TrainedTowerLost(Finding):
    """A tower that trained, and that loading makes anew as it was before."""


class TowerDiffers(Finding):
    """A tower whose own directory holds other bits than the checkpoint whose weights are not used for it."""


@dataclass(frozen=True)
class _OwnTower(Need):
    """A tower with a directory of its own; an intent that does not say so is judged by what is seen."""

    def refusal(self, intent: Intent) -> Reason | None:
        return Reason.NO_OWN_TOWER if intent.own_towers == () else None

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return "no tower was made anew" if intent.own_towers and not trace.of("towers") else None


OwnTower = _OwnTower()


@check(
    "weights are unused only of towers that did not train, and whose own directories hold the same bits",
    source="MGM #103, #45: 'Some weights were not used' is harmless, or says that the trained towers are lost",
    needs=[OwnTower, Base, Parameters, ReloadIfSaved],
)
def unused_weights_expected(intent: Intent, trace: Trace) -> Iterator[Finding]:
    """Before training the base's weights are unused, after it those that were saved."""
    started = {p.key: (p.first, trace.header["base"].get(p.key, {}).get(p.dtype)) for p in trace.parameters}
    for tower in _towers(trace.of("towers")):
        yield from _differing(trace, tower, started, "the directory that training starts from")
    trained = {p.key for p in trace.parameters if should_train(intent, p)}
    for tower in _towers(trace.reload):
        if lost := [key for key in _unused(trace, tower) if key in trained]:
            yield TrainedTowerLost(
                expected=f"{tower['setting']}: a tower that trained, as it was saved",
                seen=f"{count(len(lost), 'trained parameter')} unused, the tower made anew from {tower['directory']}",
                where=listed(lost),
                cause="the saved configuration does not say that the checkpoint's own weights are to be used",
                do="restore the tower from the checkpoint: its weights are there, under these names",
            )
        else:
            yield from _differing(trace, tower, _saved_and_back(trace), "the saved directory")


def _towers(records: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for record in records:
        yield from record.get("towers", ())


def _unused(trace: Trace, tower: Mapping[str, Any]) -> list[str]:
    return [trace.naming.canonical(path) for path in tower["unused"]]


def _saved_and_back(trace: Trace) -> dict[str, tuple[str | None, str | None]]:
    """By key: what came back, and what lies in the save."""
    back = {trace.naming.canonical(path): value for path, value in (trace.reloaded or {})["fingerprints"].items()}
    return {key: (back.get(key), facts.get("fingerprint")) for key, facts in saved_by_key(trace).items()}


def _differing(
    trace: Trace, tower: Mapping[str, Any], known: Mapping[str, tuple[str | None, str | None]], where: str
) -> Iterator[Finding]:
    pairs = {key: known[key] for key in _unused(trace, tower) if key in known}
    if differing := [key for key, (ours, unused) in pairs.items() if unused is not None and ours != unused]:
        yield TowerDiffers(
            expected=f"{tower['setting']}: a tower with the bits of the weights that are not used",
            seen=f"{count(len(differing), 'tensor')} of {tower['directory']} with other bits than in {where}",
            where=listed(differing),
            cause="another tower lies under this name, or the checkpoint's own tower had been trained",
            do="name the tower that the checkpoint was made with, or restore the tower from the checkpoint",
        )
