"""What a recipe with all its checks costs, against the bare cycle of the same recipe."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure

ROOT = Path(__file__).parent.parent
# Suite and recipe, and how much longer it may take.
RECIPES = (
    ("llava", "connector[fp32]", 2.0),
    ("llava", "connector+llm[bf16]", 2.0),
    ("llava", "lora-qv[fp32]", 2.5),
    ("minicpm_v", "vision+connector[fp32]", 2.0),
    ("minicpm_v", "lora-qkv[fp32]", 2.5),
)
REPEATS = 7


def recipe_against_bare_cycle() -> Iterator[Figure]:
    """Run, probes, reload and judgement over build, steps, save, reload, compare. Both in forks, imports paid for."""
    from harness.checks import CHECKS
    from harness.launch import Job, Launcher, WarmParent
    from harness.recipe import read_suite
    from harness.running.session import Session, Sockets
    from harness.running.workers import worker_modules

    makers, reloaders = worker_modules(["llava-1.5-7b", "minicpm-llama3-v-2.5"])
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    maker = WarmParent("make", [*makers, "benchmarks.bare_cycle"], {"PYTHONPATH": path})
    reloader = WarmParent("reload", reloaders)
    names = [check.name for check in CHECKS]
    try:
        with tempfile.TemporaryDirectory() as folder:
            bases = Path(folder) / "bases"
            for suite, name, bound in RECIPES:
                recipe = read_suite(ROOT / "suites" / f"{suite}.yaml").recipes[name]
                values = []
                for repeat in range(REPEATS + 1):
                    out = Path(folder) / f"{suite}-{name}-{repeat}"
                    session = Session(Sockets(maker.socket, reloader.socket), out, bases=bases)
                    base = session.runner.bases.verified(recipe).directory  # once per session, so not counted
                    started = time.perf_counter()
                    session.results(name, recipe, names)
                    whole = time.perf_counter() - started
                    argument = {"recipe": recipe.model_dump(mode="json"), "base": str(base), "to": str(out / "bare")}
                    started = time.perf_counter()
                    ended = Launcher(maker.socket).run(
                        Job("benchmarks.bare_cycle:run", argument, str(out / "bare.txt"))
                    )
                    bare = time.perf_counter() - started
                    assert ended.code == 0, (out / "bare.txt").read_text()
                    values.append(whole / bare)
                yield Figure(f"{suite}/{name} with all its checks over its bare cycle", values[1:], "times", bound)
    finally:
        maker.stop()
        reloader.stop()
