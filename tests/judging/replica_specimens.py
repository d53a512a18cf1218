"""Specimens of a run in two processes, which saw the same but for the alterations."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from tests.judging.equivalence_specimens import agrees, clipped, one_gradient_twice_as_large

Evidence = Any
Alteration = Callable[[Evidence], object]
WAITING = "RuntimeError: Connection closed by peer [127.0.0.1]"


def in_two(*alterations: Alteration) -> Alteration:
    """Two processes have met; the alterations are of what the second saw."""

    def alter(e: Evidence) -> None:
        e.intent["processes"] = 2
        e.events.insert(0, {"kind": "process_group", "step": 0, "micro": 0, "backend": "gloo", "rank": 0, "world": 2})
        own = e.events
        e.events = deepcopy(own)
        for one in alterations:
            one(e)
        e.others = [e.events]
        e.events = own

    return alter


def alone(e: Evidence) -> None:
    e.drop("process_group")


def never_begun(e: Evidence) -> None:
    in_two()(e)
    e.others = []


def one_step_more(e: Evidence) -> None:
    e.events.append(dict(e.one("optimizer_step", -1)))


def skips_otherwise(e: Evidence) -> None:
    e.one("optimizer_step", -1)["skipped"] = True


def other_weights_after(step: int) -> Alteration:
    return lambda e: e.one("optimizer_step", step)["values"]["m"]["fingerprint"].__setitem__(0, "?")


def another_first_value(e: Evidence) -> None:
    e.one("parameters")["fingerprint"][0] = "?"


def left_waiting(e: Evidence) -> None:
    e.events.append({"kind": "failure", "stage": "train", "error": "RuntimeError", "message": WAITING})


def ended_otherwise(e: Evidence) -> None:
    """The second process was killed, and the first says nothing of it."""
    in_two(lambda e: e.drop("closing"))(e)
    killed = {"code": -9, "ended": "killed by SIGKILL", "last_output": "its last words"}
    e.outcome["ranks"] = [{"code": 0, "ended": "exited with 0"}, killed]


def fewer_steps_seen(e: Evidence) -> None:
    last = e.one("optimizer_step", -1)
    e.events.remove(last)


SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "run.completed": [
        ("RunEnded", "the second process was left waiting", in_two(left_waiting)),
        ("RunEnded", "the second process was killed", ended_otherwise),
    ],
    "processes_as_asked": [
        ("OtherWorld", "the second process never met the first", in_two(alone)),
        ("OtherWorld", "there is no second process", never_begun),
        ("OtherWorld", "three met", in_two(lambda e: e.one("process_group").update(world=3))),
    ],
    "processes_step_together": [
        ("StepsApart", "a step more in the second process", in_two(one_step_more)),
        ("StepsApart", "a step less in the second process", in_two(fewer_steps_seen)),
        ("StepsApart", "a step that only the second process skips", in_two(skips_otherwise)),
    ],
    "gradients_averaged": [
        ("GradientsApart", "one gradient of the second process", in_two(one_gradient_twice_as_large)),
    ],
    "replicas_equal": [
        ("ReplicasApart", "one parameter after the last step", in_two(other_weights_after(-1))),
        ("ReplicasApart", "one parameter after the first step", in_two(other_weights_after(0))),
        ("ReplicasApart", "one parameter before any step", in_two(another_first_value)),
    ],
    "processes_equal_one": [
        ("ProcessesMatter", "gradients twice as large", agrees("one-process", clipped(2.0))),
        ("ProcessesMatter", "one gradient", agrees("one-process", one_gradient_twice_as_large)),
    ],
}
SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "run.completed": [("a step less in the second process, of which another check tells", in_two(fewer_steps_seen))],
    "processes_as_asked": [("two of two", in_two())],
    "processes_step_together": [("other gradients", in_two(one_gradient_twice_as_large))],
    "gradients_averaged": [("other losses", in_two(lambda e: e.one("forward").update(loss=9.0)))],
    "replicas_equal": [("other gradients", in_two(one_gradient_twice_as_large))],
    "processes_equal_one": [("gradients within rounding", agrees("one-process", clipped(1.00001)))],
}
SETTINGS: dict[str, Alteration] = {
    "processes_as_asked": in_two(),
    "processes_step_together": in_two(),
    "gradients_averaged": in_two(),
    "replicas_equal": in_two(),
    "processes_equal_one": agrees("one-process"),
}
