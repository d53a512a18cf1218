"""Everything that is run on this project. `nox -l` lists the sessions; each builds what it needs by itself."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["gate", "tests"]
nox.options.reuse_existing_virtualenvs = True

HERE = Path(__file__).parent
SUITES = "suites"
GOLDEN, BASELINE = "golden", "golden/baseline.json"
DEEPSPEED, DEEPSPEED_BASELINE = "suites/deepspeed", "golden/deepspeed.json"
COVERING = "suites/covering"
STACKS = "suites/compat/stacks.yaml"
# Goldens of old stacks: whole models and adapters where their folder has room, and what a release is known for.
OLD_GOLDENS = {
    "connector+llm[bf16]": ("4.45", "4.57", "5.0"),
    "lora-qv[fp32]": ("4.45", "4.52", "4.57", "5.0"),
    "lora-rslora": ("4.45",),
    "lora-kept-modules": ("4.45", "4.57"),
    "native-lora": ("4.45", "4.52", "4.57", "5.0"),
}
OLD_SCRIPTS = ("torch==2.0.1", "transformers==4.36.2", "numpy<2", "tokenizers==0.15.2")
OLD_GOLDENS_SUITES = [f"suites/{name}.yaml" for name in ("llava", "llava-options", "minicpm_v", "minimind")]
CONSTRAINTS = str(HERE / "constraints.txt")
QUIET = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def _install(session: nox.Session, extras: str) -> None:
    """The project with its extras, at the pinned versions: unpinned, torch alone brings gigabytes."""
    session.install("-c", CONSTRAINTS, "-e", f".[{extras}]")
    session.env.update(QUIET)


def _install_deepspeed(session: nox.Session) -> None:
    """It has no wheel, and looks for torch as it is built."""
    session.install("-c", CONSTRAINTS, "setuptools")
    session.install("-c", CONSTRAINTS, "--no-build-isolation", "deepspeed", env={"DS_BUILD_OPS": "0"})


def _workers() -> str:
    return str(min(os.cpu_count() or 1, 4))


def _gate(session: nox.Session, *options: str) -> None:
    asked = ("--golden", GOLDEN, "--inspect", "--baseline", BASELINE)
    session.run("harness", "run", SUITES, "-n", _workers(), *asked, *options, *session.posargs)


@nox.session
def gate(session: nox.Session) -> None:
    """The release gate: every suite, the goldens and all that was saved, compared with the baseline, in one report.

    Arguments go to `harness run`: `-- --baseline FILE` takes that of another release.
    """
    _install(session, "train")
    _gate(session)


@nox.session
def quick(session: nox.Session) -> None:
    """A part of the gate, for while one works: some recipes of each kind. It replaces no gate, and says so."""
    _install(session, "train")
    _gate(session, "--quick")


@nox.session
def tests(session: nox.Session) -> None:
    """The project's own tests. Arguments go to pytest."""
    _install(session, "train,dev")
    session.run("pytest", "-n", _workers(), "--dist", "loadfile", *session.posargs)


@nox.session
def engines(session: nox.Session) -> None:
    """The suites and tests of engines that need more than the gate has: DeepSpeed. Arguments go to `harness run`."""
    _install(session, "train,dev")
    _install_deepspeed(session)
    session.run("pytest", "tests/under_deepspeed", "tests/memory/test_estimators.py")
    session.run("harness", "run", DEEPSPEED, "-n", _workers(), "--baseline", DEEPSPEED_BASELINE, *session.posargs)


@nox.session
def covering(session: nox.Session) -> None:
    """Every pair of a family's options, in few recipes. No part of the gate, which it would make longer by a third.

    Arguments go to `harness run`.
    """
    _install(session, "train")
    session.run("harness", "run", COVERING, "-n", _workers(), *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, mypy and the import rules."""
    _install(session, "train,dev")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def faults(session: nox.Session) -> None:
    """The whole table fault × check: every injected fault on a recipe of each family. The tests try a part of it."""
    _install(session, "train")
    session.run("harness", "faults", SUITES, *session.posargs)


@nox.session
def golden(session: nox.Session) -> None:
    """Hold the pinned goldens against today's code and libraries. Arguments go to `harness golden verify`."""
    _install(session, "train")
    session.run("harness", "golden", "verify", *session.posargs)


@nox.session
def compat(session: nox.Session) -> None:
    """Save under each stack of suites/compat/stacks.yaml, load under all others; of the whole, write docs/compat.md.

    Takes some minutes, and the network where a stack is not in the cache. Arguments go to `harness compat`.
    """
    _install(session, "train")
    session.run("harness", "compat", "suites/compat", "-n", _workers(), *session.posargs)
    if not session.posargs:
        session.run("python", "docs/compat.py", "harness-out/compat.json")


@nox.session
def families(session: nox.Session) -> None:
    """Train every vision-language type of the transformers library three ways, and write docs/families.md.

    Arguments name types. Without, every entry of the table of overrides is shown to be needed first. torchvision comes
    without the torch that it is built for: its transforms are enough.
    """
    _install(session, "train")
    session.install("-c", CONSTRAINTS, "--no-deps", "torchvision", "timm", "scipy", "num2words", "docopt")
    if not session.posargs:
        session.run("pytest", "tests/families/test_overrides_needed.py")
    session.run("python", "docs/families.py", "run", "harness-out/families", *session.posargs)


@nox.session
def families_stacks(session: nox.Session) -> None:
    """Train some of these types under the libraries of other years, and write how they compare into docs/families.md.

    What the table of overrides has for older releases is shown to be needed under each. Takes the network where a stack
    is not in the cache. Arguments name types, and `--stack 4.57`.
    """
    _install(session, "train")
    session.install("-c", CONSTRAINTS, "--no-deps", "torchvision")
    session.run("python", "docs/families_stacks.py", "run", "harness-out/families-stacks", *session.posargs)


@nox.session
def old_goldens(session: nox.Session) -> None:
    """Pin goldens under the libraries of other years, as the stacks file names them. Arguments name stacks."""
    _install(session, "train")
    stacks = dict.fromkeys(name for names in OLD_GOLDENS.values() for name in names)
    for stack in session.posargs or stacks:
        recipes = [word for name, names in OLD_GOLDENS.items() if stack in names for word in ("--recipe", name)]
        how = ["--stacks", STACKS, "--stack", stack, *recipes]
        session.run("harness", "golden", "stacks", *OLD_GOLDENS_SUITES, *how)


@nox.session
def properties(session: nox.Session) -> None:
    """Draw recipes, train each, put faults into some, and keep the smallest that breaks a promise (docs/properties.md).

    Arguments: `--minutes 5`, `--seed 0`, `-n WORKERS`, `--family NAME`, `--engine trainer`, `--processes 2`. The same
    seed draws the same recipes, whatever the number of workers.
    """
    _install(session, "train,properties")
    session.run("python", "-m", "harness.strategies", "-n", _workers(), *session.posargs)


@nox.session
def trainers(session: nox.Session) -> None:
    """Run real trainers, each in a layer of its own, under `harness trace`; of the whole, write docs/trainers.md.

    Takes half an hour, and the network where one is not in the cache. Arguments name trainers, `--case NAME`, and
    `--model NAME` of those that a trainer is given besides.
    """
    _install(session, "train")
    session.install("-c", CONSTRAINTS, "setuptools")  # which DeepSpeed, having no wheel, is built with
    session.run("python", "-m", "trainers", *session.posargs)
    if not session.posargs:
        session.run("python", "docs/trainers.py", "harness-out/trainers.json")


@nox.session
def library_bugs(session: nox.Session) -> None:
    """Run what meets each released bug of library_bugs/bugs.yaml under versions with and without it; print the table.

    Takes half an hour, and the network where a version is not in the cache. Arguments name bugs. Of the whole,
    docs/library_bugs.md is written.
    """
    _install(session, "train")
    session.install("-c", CONSTRAINTS, "setuptools")  # which DeepSpeed, having no wheel, is built with
    session.run("python", "-m", "library_bugs", *session.posargs)
    if not session.posargs:
        session.run("python", "docs/library_bugs.py", "harness-out/library_bugs.json")


@nox.session
def old_scripts(session: nox.Session) -> None:
    """Trace scripts under Python 3.9, torch 2.0 and transformers 4.36, in an environment of their own, and judge them.

    Takes two gigabytes from the network: the registry has that torch for CUDA alone.
    """
    _install(session, "train,dev")
    place = Path(session.create_tmp()) / "old"
    if not (place / "bin" / "python").exists():
        session.run("python3.9", "-m", "venv", str(place), external=True)
        session.run(str(place / "bin" / "pip"), "install", *OLD_SCRIPTS, external=True)
    environment = {"HARNESS_OLD_PYTHON": str(place / "bin" / "python")}
    session.run("pytest", "tests/tracing/test_old.py", *session.posargs, env=environment)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what the project promises, write benchmarks/results.json, and fail where a bound is missed."""
    _install(session, "train,dev")
    if "zero" in session.posargs:  # measured by name alone: an installed DeepSpeed slows everybody's saving
        _install_deepspeed(session)
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(venv_backend="none")
def gpu(session: nox.Session) -> None:
    """What only a GPU can show, with this environment's own torch: suites, both devices compared, full-size models.

    Nothing is installed, for a GPU host has a torch of its own and often no network. Without a GPU one line says what
    was not run, and the session fails. Arguments name parts: `suites`, `pairs`, `fingerprint`, `full`.
    """
    session.run(sys.executable, "-m", "benchmarks.gpu", *session.posargs, external=True, env=QUIET)


@nox.session
def mutation(session: nox.Session) -> None:
    """Change the judging side in thousands of small ways, see which of them no test notices, write docs/mutation.md.

    Takes a quarter of an hour. Arguments name mutants to try again, by pattern: `harness.checks.saved*`.
    """
    _install(session, "train,dev")
    session.install("-c", CONSTRAINTS, "mutmut")
    if not session.posargs:
        shutil.rmtree(HERE / "mutants", ignore_errors=True)
    session.run("python", "-m", "tests.mutation", "run", "--max-children", _workers(), *session.posargs)
    session.run("python", "docs/mutation.py")


@nox.session
def docs(session: nox.Session) -> None:
    """Write the generated parts of the documents anew: the table of checks, the measured figures."""
    _install(session, "train")
    session.run("python", "docs/tables.py")
