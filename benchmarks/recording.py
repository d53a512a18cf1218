"""What recording adds to a training step."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure

BATCH, LENGTH = 4, 128
ROUNDS, BLOCKS, STEPS, QUICKEST = 9, 6, 7, 6


def recording_overhead() -> Iterator[Figure]:
    """A step of a tiny LLaVA at batch 4, sequence 128, recorded over unrecorded, everything trained."""
    yield Figure("a recorded step over a bare one", numbers_of("benchmarks.recording"), "times", 1.10)


def numbers_of(module: str, *arguments: str) -> list[float]:
    """The numbers that a module prints, run by itself on one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    command = [sys.executable, "-m", module, *arguments]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return [float(word) for word in output.split()]


def ratios() -> Iterator[float]:
    """One ratio of step times per round of alternating blocks in one process."""
    import torch

    from harness.recording import Recorder

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model = tiny_llava(Path(folder) / "base")
        for _ in range(ROUNDS):
            recorded, bare = [], []
            for _ in range(BLOCKS):
                recorded += steps(model, Recorder(Path(folder) / "trace"))
                bare += steps(model, contextlib.nullcontext())
            yield quickest(recorded) / quickest(bare)


def quickest(seconds: list[float]) -> float:
    """The mean of the quickest steps, for whatever else the machine does only ever adds to a step."""
    return statistics.fmean(sorted(seconds)[:QUICKEST])


def steps(model: Any, recording: Any, number: int = STEPS) -> list[float]:
    """The processor times of a block's steps, but the first two: those set up the optimizer and look at dtypes."""
    import torch

    batch = _batch(model)
    with recording as recorder:
        if recorder is not None:
            recorder.live.add_tree([model])
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        seconds = []
        for _ in range(number):
            started = time.process_time()
            model(**batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            seconds.append(time.process_time() - started)
    return seconds[2:]


def tiny_llava(base: Path) -> Any:
    """The model that is stepped, whose base is written into a new directory."""
    import torch

    from harness.families import family

    base.mkdir()
    chosen = family("llava-1.5-7b")
    chosen.write_base(base)
    return chosen.load(base, torch.float32).model.train()


def _batch(model: Any) -> dict[str, object]:
    import torch

    config = model.config
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(10, 500, (BATCH, LENGTH), generator=generator)
    ids[:, 4 : 4 + config.image_seq_length] = config.image_token_index
    side = config.vision_config.image_size
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": ids.clone(),
        "pixel_values": torch.randn(BATCH, 3, side, side, generator=generator),
    }


if __name__ == "__main__":
    for ratio in ratios():
        print(ratio)
