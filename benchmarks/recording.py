"""What recording adds to a training step."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure

BATCH, LENGTH, STEPS, BLOCKS = 4, 128, 14, 8


def recording_overhead() -> Iterator[Figure]:
    """A step of a tiny LLaVA at batch 4, sequence 128, recorded over unrecorded; alternating blocks in one process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    command = [sys.executable, "-m", "benchmarks.recording"]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    yield Figure("a recorded step over a bare one", [float(line) for line in output.split()], "times", 1.10)


def ratios() -> Iterator[float]:
    """One ratio of step times per pair of blocks."""
    import torch

    from harness.families import family

    torch.set_num_threads(1)
    chosen = family("llava-1.5-7b")
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        base.mkdir()
        chosen.write_base(base)
        model = chosen.load(base, torch.float32).model.train()
        for block in range(BLOCKS):
            recorded = _quickest_step(model, Path(folder) / f"trace-{block}")
            yield recorded / _quickest_step(model, None)


def _quickest_step(model: object, trace: Path | None) -> float:
    """The processor time of a block's quickest step, but the first two: those set up the optimizer and look at dtypes.

    The quickest, for whatever else the machine does only ever adds to a step.
    """
    import torch

    from harness.recording import Recorder

    batch = _batch(model)
    with Recorder(trace) if trace else contextlib.nullcontext() as recorder:
        if recorder is not None:
            recorder.live.add_tree([model])
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        seconds = []
        for _ in range(STEPS):
            started = time.process_time()
            model(**batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            seconds.append(time.process_time() - started)
    return min(seconds[2:])


def _batch(model: object) -> dict[str, object]:
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
