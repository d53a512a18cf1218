"""Ways of spreading a fine-tune over GPUs, and what each needs on a GPU and on the host.

DeepSpeed's estimators assume that all parameters train. Here they are asked about those that do. A frozen parameter is
a weight in 16 bits: whole on each GPU under stages 1 and 2, partitioned under 3, on the host where weights are
offloaded. It has no gradient, no master and no moments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.memory.counts import Counts
from harness.memory.estimators import BUFFERS, Estimators, States, estimators
from harness.memory.machine import Machine

NOT_INCLUDED = (
    "activations of towers and connectors, fragmentation, buckets of communication and of gathered layers, "
    "and the memory of CUDA and of the libraries themselves"
)
Way = Callable[[Estimators, Counts, int], States]


@dataclass(frozen=True)
class Need:
    """Bytes that a strategy needs: model states on each GPU and on the host, activations on each GPU."""

    gpu: int
    activations: int
    host: int

    def fits(self, machine: Machine) -> bool:
        """Whether they are there: on the host too, where its memory is known."""
        on_host = machine.host_bytes is None or self.host <= machine.host_bytes
        return on_host and self.gpu + self.activations <= machine.gpu_bytes


def _loaded(counts: Counts, gpus: int) -> int:
    """Each process of a host loads the whole model, in fp32 as the estimators have it."""
    return int((counts.trained + counts.frozen) * 4 * gpus * BUFFERS)


def _plain(_: Estimators, counts: Counts, gpus: int) -> States:
    """torch's data parallel over fp32 weights, as autocast wants them: 4 bytes each for a weight and its gradient, 8
    for AdamW's moments, and the gradient once more in the reducer's buckets."""
    of_trained = 16 if gpus == 1 else 20
    return _loaded(counts, gpus), of_trained * counts.trained + 4 * counts.frozen


def _zero1(_: Estimators, counts: Counts, gpus: int) -> States:
    """By zero2's accounting, but that each GPU keeps all gradients in 16 bits."""
    on_gpu = 4 * counts.trained + int(16 * counts.trained / gpus) + 2 * counts.frozen
    return _loaded(counts, gpus), on_gpu


def _zero1_offload(using: Estimators, counts: Counts, gpus: int) -> States:
    host, gpu = _zero2_offload(using, counts, gpus)
    return host, gpu + 2 * counts.trained


def _zero2(using: Estimators, counts: Counts, gpus: int) -> States:
    _, gpu = using.zero2(counts.trained, gpus, offload=False)
    return _loaded(counts, gpus), gpu + 2 * counts.frozen


def _zero2_offload(using: Estimators, counts: Counts, gpus: int) -> States:
    host, gpu = using.zero2(counts.trained, gpus, offload=True)
    return max(host, _loaded(counts, gpus)), gpu + 2 * counts.frozen


def _zero3(using: Estimators, counts: Counts, gpus: int) -> States:
    host, gpu = using.zero3(counts.trained, counts.largest_layer, gpus, optimizer=False, weights=False)
    return host, gpu + int(2 * counts.frozen / gpus)


def _zero3_optimizer(using: Estimators, counts: Counts, gpus: int) -> States:
    host, gpu = using.zero3(counts.trained, counts.largest_layer, gpus, optimizer=True, weights=False)
    return host, gpu + int(2 * counts.frozen / gpus)


def _zero3_all(using: Estimators, counts: Counts, gpus: int) -> States:
    host, gpu = using.zero3(counts.trained, counts.largest_layer, gpus, optimizer=True, weights=True)
    return host + int(2 * counts.frozen * BUFFERS), gpu


STRATEGIES: dict[str, Way] = {
    "data parallel": _plain,
    "zero1": _zero1,
    "zero1 + offload": _zero1_offload,
    "zero2": _zero2,
    "zero2 + offload": _zero2_offload,
    "zero3": _zero3,
    "zero3 + offload of the optimizer": _zero3_optimizer,
    "zero3 + offload": _zero3_all,
}


def needs(counts: Counts, gpus: int, tokens: int, using: Estimators | None = None) -> dict[str, Need]:
    """What each strategy needs to train on so many tokens at a time on each GPU."""
    chosen = using or estimators()
    activations = counts.text.activations(tokens) if counts.text else 0
    states = {name: way(chosen, counts, gpus) for name, way in STRATEGIES.items()}
    return {name: Need(gpu, activations, host) for name, (host, gpu) in states.items()}
