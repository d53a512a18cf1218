"""Specimens of a run in two processes, which saw the same but for the alterations."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from tests.judging.equivalence_specimens import agrees, clipped, one_gradient_twice_as_large, without_last_step

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


def another_parameter(e: Evidence) -> None:
    e.one("parameters")["path"][0] = "vision.layers.0.other.weight"


def a_parameter_more(e: Evidence) -> None:
    """And it is the first, so that the others have other places."""
    parameters, final = e.one("parameters"), e.one("final")
    columns = [parameters, final, *(step["values"]["m"] for step in e.all("optimizer_step"))]
    number = len(parameters["path"])
    for column in columns:
        for entries in column.values():
            if isinstance(entries, list) and len(entries) == number:
                entries.insert(0, entries[0])
    parameters["path"][0] = "vision.layers.0.other.weight"


def norms_of_all_but_the_last(e: Evidence) -> None:
    for gradients in e.all("gradients"):
        gradients["norm"].pop()


def in_three(*alterations: Alteration) -> Alteration:
    """Three processes have met; the alterations are of what the second and the third saw."""

    def alter(e: Evidence) -> None:
        in_two(*alterations)(e)
        e.intent["processes"] = 3
        e.others.append(deepcopy(e.others[0]))
        for events in (e.events, *e.others):
            events[0]["world"] = 3

    return alter


def a_third(e: Evidence) -> None:
    in_two()(e)
    e.others.append(deepcopy(e.others[0]))


def none_skipped(e: Evidence) -> None:
    for step in e.all("optimizer_step"):
        step["skipped"] = False


def left_waiting(e: Evidence) -> None:
    e.events.append({"kind": "failure", "stage": "train", "error": "RuntimeError", "message": WAITING})


def ended_otherwise(e: Evidence) -> None:
    """The second process was killed, and the first says nothing of it."""
    in_two(lambda e: e.drop("closing"))(e)
    killed = {"code": -9, "ended": "killed by SIGKILL", "last_output": "its last words"}
    e.outcome["ranks"] = [{"code": 0, "ended": "exited with 0"}, killed]


def never_heard_of(e: Evidence) -> None:
    """The second process ended before it had a stream."""
    in_two()(e)
    e.others = []
    e.outcome["ranks"] = [{"code": 0, "ended": "exited with 0"}, {"code": 1, "ended": "exited with status 1"}]


def port_taken(e: Evidence) -> None:
    e.drop("closing")
    e.outcome.update(code=1, ended="exited with status 1", last_output="DistNetworkError: port: 29500, EADDRINUSE")


def stray_hostfile(e: Evidence) -> None:
    e.drop("closing")
    said = "RuntimeError: Using hostfile at /job/hostfile but host=worker-9 was not reachable via ssh."
    e.outcome.update(code=1, ended="exited with status 1", last_output=said)


def fewer_steps_seen(e: Evidence) -> None:
    last = e.one("optimizer_step", -1)
    e.events.remove(last)


SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "run.completed": [
        ("RunEnded", "the second process was left waiting", in_two(left_waiting)),
        ("RunEnded", "the second process was killed", ended_otherwise),
        ("RunEnded", "the second process had nothing to say", never_heard_of),
        ("RunEnded", "the port was taken", port_taken),
        ("RunEnded", "a hostfile lay about", stray_hostfile),
    ],
    "processes_as_asked": [
        ("OtherWorld", "the second process never met the first", in_two(alone)),
        ("OtherWorld", "there is no second process", never_begun),
        ("OtherWorld", "there is a third process", a_third),
        ("OtherWorld", "three met", in_two(lambda e: e.one("process_group").update(world=3))),
    ],
    "processes_step_together": [
        ("StepsApart", "a step more in the second process", in_two(one_step_more)),
        ("StepsApart", "a step less in the second process", in_two(fewer_steps_seen)),
        ("StepsApart", "a step less, and none is skipped", lambda e: (none_skipped(e), in_two(fewer_steps_seen)(e))),
        ("StepsApart", "a step that only the second process skips", in_two(skips_otherwise)),
    ],
    "gradients_averaged": [
        ("GradientsApart", "one gradient of the second process", in_two(one_gradient_twice_as_large)),
        ("GradientsApart", "one gradient of two processes of three", in_three(one_gradient_twice_as_large)),
    ],
    "replicas_equal": [
        ("ReplicasApart", "one parameter after the last step", in_two(other_weights_after(-1))),
        ("ReplicasApart", "one parameter after the first step", in_two(other_weights_after(0))),
        ("ReplicasApart", "one parameter before any step", in_two(another_first_value)),
        ("ReplicasApart", "another parameter in its place", in_two(another_parameter)),
        ("ReplicasApart", "a parameter more in the second process", in_two(a_parameter_more)),
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
    "gradients_averaged": [
        ("other losses", in_two(lambda e: e.one("forward").update(loss=9.0))),
        ("a step less in the second process", in_two(without_last_step)),
        ("a parameter less in the second process", in_two(norms_of_all_but_the_last)),
    ],
    "replicas_equal": [
        ("other gradients", in_two(one_gradient_twice_as_large)),
        ("a step less in the second process", in_two(fewer_steps_seen)),
    ],
    "processes_equal_one": [("gradients within rounding", agrees("one-process", clipped(1.00001)))],
}
SETTINGS: dict[str, Alteration] = {
    "processes_as_asked": in_two(),
    "processes_step_together": in_two(),
    "gradients_averaged": in_two(),
    "replicas_equal": in_two(),
    "processes_equal_one": agrees("one-process"),
}
