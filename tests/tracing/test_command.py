"""`harness trace` runs a command as it is, and says what it did, that it did nothing, or that it failed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import status_of
from harness.tracing.launching import live_line
from tests.tracing.conftest import HERE

TRAINING = """
import os, sys
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.randint(2, (8,)))
    loss.backward()
    optimizer.step()
print("ended", os.getcwd() == sys.argv[1], sys.argv[2:], sys.stdin.read())
{last}
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return tmp_path / "train.py"


def traced(*command: str, out: Path, options: tuple[str, ...] = ()) -> int:
    return status_of(["trace", "--out", str(out), *options, "--", *command])


def test_a_command_keeps_its_arguments_directory_input_and_output(
    script: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script.write_text(TRAINING.format(last=""))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "job.md"))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    (tmp_path / "sitecustomize.py").write_text("import builtins\nbuiltins.shadowed = True\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    script.write_text(script.read_text() + "\nprint('shadowed', shadowed)\n")

    status = traced(sys.executable, "train.py", str(tmp_path), "--flag", "a b", out=tmp_path / "out")

    printed = capfd.readouterr()
    assert status == 0, printed
    assert "ended True ['--flag', 'a b']" in printed.out
    assert "shadowed True" in printed.out
    assert "train.py    22 checks" in printed.out
    assert "Linear (2 parameters); 3 optimizer steps" in printed.out
    results = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert {one["recipe"] for one in results} == {"train.py"}
    assert "| train.py |" in (tmp_path / "job.md").read_text()
    assert "::" not in printed.out
    assert status_of(["check", str(tmp_path / "out" / "trace")]) == 0


def test_a_script_that_fails_keeps_its_status_and_is_judged_up_to_there(
    script: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    script.write_text(TRAINING.format(last="os.kill(os.getpid(), 9)"))

    status = traced(sys.executable, str(script), str(tmp_path), out=tmp_path / "out")

    printed = capfd.readouterr().out
    assert status == 137
    assert "FAILED  run.completed" in printed
    assert "killed by SIGKILL" in printed
    assert "3 optimizer steps; ended early: judged up to there" in printed
    assert "::error title=run.completed (train.py)::" in printed


def test_what_takes_a_script_s_place_is_followed_and_its_spawned_workers_are_let_be(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status = traced(sys.executable, str(HERE / "ways" / "replaced.py"), out=tmp_path / "out")

    printed = capfd.readouterr()
    assert status == 0, printed
    assert sorted(path.name for path in (tmp_path / "out").glob("trace*")) == ["trace", "trace-2"]
    assert "WARNED  run.completed" in printed.out
    assert "os._exit, an exec" in printed.out
    assert printed.out.count("Linear (2 parameters); 3 optimizer steps") == 2
    assert not printed.err


def test_a_terminal_is_told_from_time_to_time_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = tmp_path / "trace" / "rank-0" / "events.jsonl"
    stream.parent.mkdir(parents=True)
    told = []
    for terminal, every in ((True, 0.0), (True, 60.0), (False, 0.0)):
        stream.write_text("")
        monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal, raising=False)
        tick = live_line(tmp_path, every)
        for line in ('{"kind":"forward"}\n', '{"kind":"optimizer_step"}\n', ""):
            with stream.open("a") as events:
                events.write(line)
            tick()
        told.append(capsys.readouterr().err.splitlines())

    assert told == [["harness: 0 optimizer steps recorded", "harness: 1 optimizer step recorded"], [], []]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        pytest.param("print('no torch here')", "not observed: no process of the command met an optimizer", id="none"),
        pytest.param("raise SystemExit(7)", "not observed", id="fails"),
    ],
)
def test_a_command_that_trains_nothing_is_not_observed(
    code: str, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status = traced(sys.executable, "-c", code, out=tmp_path / "out")

    assert status == (7 if "7" in code else 1)
    assert said in capfd.readouterr().err


def test_a_process_that_cleans_its_environment_is_not_observed(
    script: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status = traced(sys.executable, "-I", "-c", "print('trained')", out=tmp_path / "out")

    assert status == 1
    assert "cleans its environment" in capfd.readouterr().err


def test_a_command_that_cannot_be_started_is_refused_in_a_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert traced("no-such-command", out=tmp_path / "out") == 2
    assert capfd.readouterr().err.startswith("harness: no-such-command: cannot be started: No such file")


def test_a_process_without_torch_imports_nothing_of_ours(tmp_path: Path) -> None:
    from harness.recording.scripts.options import Options
    from harness.tracing.launching import environment_of

    code = "import sys; print([name for name in sys.modules if name.split('.')[0] in ('harness', 'json', 'pathlib')])"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env=environment_of(Options(str(tmp_path))),
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout.strip() == "[]"
    assert not told.stderr
