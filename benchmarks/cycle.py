"""What a recipe with all its checks costs, against the bare cycle of the same recipe."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure

ROOT = Path(__file__).parent.parent
RECIPES = ("connector[fp32]", "connector+llm[bf16]", "lora-qv[fp32]")
REPEATS = 7


def recipe_against_bare_cycle() -> Iterator[Figure]:
    """Run, probes, reload and judgement over build, steps, save, reload, compare. Both in forks, imports paid for."""
    from harness.checks import CHECKS
    from harness.launch import Job, Launcher, WarmParent
    from harness.recipe import read_suite
    from harness.session import Session, Sockets
    from harness.workers import worker_modules

    makers, reloaders = worker_modules(["llava-1.5-7b"])
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    maker = WarmParent("make", [*makers, "benchmarks.bare_cycle"], {"PYTHONPATH": path})
    reloader = WarmParent("reload", reloaders)
    suite = read_suite(ROOT / "suites" / "llava.yaml")
    names = [check.name for check in CHECKS]
    try:
        with tempfile.TemporaryDirectory() as folder:
            bases = Path(folder) / "bases"
            for name in RECIPES:
                recipe = suite.recipes[name]
                values = []
                for repeat in range(REPEATS + 1):
                    out = Path(folder) / f"{name}-{repeat}"
                    session = Session(Sockets(maker.socket, reloader.socket), out, bases=bases)
                    base = session.runner.base_of(recipe)
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
                yield Figure(f"{name} with all its checks over its bare cycle", values[1:], "times", 2.0)
    finally:
        maker.stop()
        reloader.stop()
