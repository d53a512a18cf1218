"""What `harness trace` adds to a step of a script that knows nothing of it."""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure
from benchmarks.recording import BLOCKS, ROUNDS, numbers_of, quickest, steps, tiny_llava
from harness.recording.scripts.pace import Pace

BATCH, LENGTH, WORDS = 2, 128, 24_000
RUN, LONG, SHORT = 100, 32, 12  # steps: of a run that is told of, and of the blocks, traced and bare, it is told from
LARGE_ROUNDS, LARGE_STEPS = 5, 5


def tracing_overhead() -> Iterator[Figure]:
    """A tiny LLaVA as in `recording`, and a GPT of 104 M parameters on 256 tokens, each at the tracer's defaults.

    Steps that are looked at and those that are not are told apart, and put together as the tracer has them: of the
    small one as in a run of so many steps, which begins with those that are each looked at; of the large one, one in k,
    which the tracer chooses.
    """
    numbers = numbers_of(__name__, "small")
    yield Figure(f"a traced step over a bare one, in a run of {RUN} steps", numbers[::2], "times", 1.10)
    yield Figure("the same of its first steps, each looked at", numbers[1::2], "times", 1.20)
    numbers = numbers_of(__name__, "large")
    yield Figure("the same at 104 M parameters, looked at every k steps", numbers[::2], "times", 1.02)
    yield Figure("k, as it is chosen", numbers[1::2], "steps", 1000)


@contextlib.contextmanager
def traced(place: Path) -> Iterator[Any]:
    """What a script is recorded by, with all that it looks at."""
    from harness.recording.scripts import Options, ScriptRecorder
    from harness.recording.scripts.attached import watchers_of

    recorder = ScriptRecorder(Options(str(place), last_look=True))
    recorder.watchers = watchers_of(recorder)
    with recorder:
        yield recorder


def small() -> Iterator[float]:
    """Two ratios per round of alternating blocks in one process: of a run's steps, and of those that are looked at."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model = tiny_llava(Path(folder) / "base")
        for _ in range(ROUNDS):
            looked: list[float] = []
            usual: list[float] = []
            bare: list[float] = []
            for _ in range(BLOCKS):
                block = steps(model, traced(Path(folder) / "out"), LONG)
                for seconds, seen in zip(block, due(LONG)[-len(block) :], strict=True):
                    (looked if seen else usual).append(seconds)
                bare += steps(model, contextlib.nullcontext(), SHORT)
            share = sum(due(RUN)) / RUN
            mean = share * quickest(looked) + (1 - share) * quickest(usual)
            yield mean / quickest(bare)
            yield quickest(looked) / quickest(bare)


def due(number: int) -> list[bool]:
    """Which of a small model's steps are looked at."""
    pace = Pace(asked=0)
    pace.trains(1)
    pace.begins(0)
    return [pace.due(step, step) for step in range(number)]


def large() -> Iterator[float]:
    """A ratio and k per round: each a block of traced steps between two of bare ones, for the machine's pace drifts."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.set_num_threads(1)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=WORDS, n_positions=LENGTH)).train()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(LARGE_ROUNDS):
            before, _ = _large_steps(model, contextlib.nullcontext())
            (looked, *usual), every = _large_steps(model, traced(Path(folder) / str(number)))
            after, _ = _large_steps(model, contextlib.nullcontext())
            mean = (looked + (every - 1) * statistics.median(usual)) / every
            yield mean / statistics.median([*before, *after])
            yield every


def _large_steps(model: Any, recording: Any) -> tuple[list[float], int]:
    """The processor times of the steps after the first, which sets up the optimizer; the tracer looks at it and at the
    next, and then knows how often to look."""
    import torch

    ids = torch.randint(WORDS, (BATCH, LENGTH), generator=torch.Generator().manual_seed(0))
    with recording as recorder:
        if recorder is not None:
            recorder.live.add_tree([model])
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
        seconds = []
        for _ in range(2 + LARGE_STEPS):
            started = time.process_time()
            model(input_ids=ids, labels=ids).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            seconds.append(time.process_time() - started)
        chosen = 0 if recorder is None else recorder.every
    return seconds[1:], chosen


if __name__ == "__main__":
    for number in {"small": small, "large": large}[sys.argv[1]]():
        print(number, flush=True)
