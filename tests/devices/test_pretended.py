"""A run on an accelerator that is pretended: everything that meets is on the device, and the trace is the CPU's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.comparator import Verdict, compare
from harness.comparator.devices import further_apart
from harness.comparator.tolerances import FP32
from harness.trace.reader import Trace, read_trace

PRETENDED = Path(__file__).with_name("pretended.py")
PROBES = ["adapter_at_start", "adapter_disabled", "evaluated_twice", "generated", "other_pixels", "outputs", "together"]
RECIPE = {
    "family": "llava-1.5-7b",
    "tune": ["connector"],
    "lora": {"rank": 4, "targets": r".*language_model\..*\.(q_proj|v_proj)"},
    "optimizer": {"accumulation": 2},
    "data": {"mix": ["image", "text"]},
    "steps": 2,
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same run on the CPU and on the pretended device, and how often the device was asked for what."""
    from harness.making.directories import make_base

    folder = tmp_path_factory.mktemp("pretended")
    make_base({"directory": str(folder / "base"), "family": RECIPE["family"]})
    given = {"recipe_id": "r", "recipe": RECIPE, "base": str(folder / "base"), "parts": [], "towers": {}, "faults": []}
    given |= {"inventory": None, "probes": PROBES, "reload": False, "process": "a test"}
    making = {}
    for device in ("cpu", "pretend"):
        job = folder / f"{device}.json"
        job.write_text(json.dumps({"device": device, "argument": {**given, "directory": str(folder / device)}}))
        making[device] = subprocess.Popen(
            [sys.executable, str(PRETENDED), str(job)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    said = {device: process.communicate() for device, process in making.items()}
    assert {device: process.returncode for device, process in making.items()} == {"cpu": 0, "pretend": 0}, said
    traces = {device: read_trace(folder / device / "trace") for device in making}
    return {**traces, "counted": json.loads(said["pretend"][0].splitlines()[-1]), "folder": folder}


def test_forward_backward_and_optimizer_were_computed_on_the_device(both: dict[str, Any]) -> None:
    assert {"embedding", "convolution", "_log_softmax_backward_data", "addcdiv_"} <= both["counted"].keys()


def test_the_run_is_the_cpus_run(both: dict[str, Any]) -> None:
    compared = compare(both["cpu"], both["pretend"], further_apart(FP32))  # attention has no fused kernel there

    assert compared.verdict is Verdict.WITHIN_TOLERANCE, compared
    events = [[(one["kind"], one.get("step")) for one in both[name].events] for name in ("cpu", "pretend")]
    assert events[0] == events[1]


def test_what_is_told_of_batches_and_frozen_parameters_is_equal_to_the_bit(both: dict[str, Any]) -> None:
    def told(trace: Trace) -> list[Any]:
        names = ("labels", "learned", "samples", "lengths", "pixels", "shapes")
        frozen = [(one.path, one.first, one.last) for one in trace.parameters if not one.requires_grad]
        return [[event.get(name) for name in names] for event in trace.of("forward")] + frozen

    assert told(both["cpu"]) == told(both["pretend"])


def test_the_probes_found_what_they_looked_for(both: dict[str, Any]) -> None:
    probes = {probe["name"]: probe for probe in both["pretend"].of("probe")}

    assert [name for name, probe in probes.items() if "error" in probe] == []
    assert probes["together"]["pictures"] == both["cpu"].of("probe")[-1].get("pictures")


def test_the_saved_adapter_is_on_no_device(both: dict[str, Any]) -> None:
    from safetensors.torch import load_file

    files = [
        load_file(both["folder"] / device / "saved" / "adapter_model.safetensors") for device in ("cpu", "pretend")
    ]

    assert files[0].keys() == files[1].keys()
    assert {tensor.device.type for tensor in files[1].values()} == {"cpu"}


def test_tensors_of_both_do_not_meet_there() -> None:
    """The pretence is one: without this, nothing above would show anything."""
    code = (
        f"import sys; sys.path.insert(0, {str(PRETENDED.parent)!r})\n"
        "import pretended as p, torch\n"
        "p._setup_privateuseone_for_python_backend(p.NAME)\n"
        "with p.Pretended():\n"
        "    there = torch.ones(3, device=p.NAME)\n"
        "    assert (there + there).device.type == p.NAME and float(there.sum()) == 3\n"
        "    there + torch.ones(3)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert "expected all tensors to be on the same device" in done.stderr
