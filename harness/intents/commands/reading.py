"""From a command to an intent file, with each flag in one place: promised, not judged, promising nothing, unknown."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.intents.commands import (
    llama_factory,
    llava,
    mini_gemini,
    minicpm_v,
    minimind,
    omnilmm,
    transformers_trainer,
    trl,
)
from harness.intents.commands.flags import Flags, read_flags
from harness.intents.commands.shell import Command, taken_apart
from harness.intents.file import IntentFile
from harness.recipe.suite import refusal_of
from harness.recipe.yaml_file import read_yaml
from harness.refusal import Refused

# In the order in which they are tried: each is told by what the next ones have not.
SYSTEMS: dict[str, Any] = {
    one.NAME: one
    for one in (llama_factory, minimind, omnilmm, mini_gemini, minicpm_v, trl, llava, transformers_trainer)
}
# Of launchers: what starts how many processes where, and on which ports they meet.
OF_LAUNCHERS = {
    "--nproc_per_node", "--nproc-per-node", "--nnodes", "--node_rank", "--master_addr", "--master_port", "--num_gpus",
    "--num_nodes", "--hostfile", "--include", "--exclude", "--num_processes", "--num_machines", "--machine_rank",
    "--main_process_ip", "--main_process_port", "--rdzv_endpoint", "--rdzv_backend", "--rdzv_id", "--standalone",
    "--multi_gpu", "--gpu_ids", "--max_restarts", "--use_env", "-u", "-m", "--module", "--launcher", "--log_dir",
}  # fmt: skip


@dataclass(frozen=True)
class CommandRead:
    """What was read off a command: the intent, and what became of each flag, as it was written."""

    system: str
    about: str
    intent: IntentFile
    promised: dict[str, str]  # the flag as it was written, and what it promises
    unjudged: dict[str, str]  # promises that no check can hold against a run, and why
    silent: tuple[str, ...]  # known, and promising nothing
    unknown: tuple[str, ...]  # not covered

    @property
    def heading(self) -> list[str]:
        return [f"Read off a command by harness intent; its flags as {self.about}."]

    @property
    def notes(self) -> list[str]:
        lines = [f"{flag}: {promise}" for flag, promise in self.promised.items()]
        lines += [f"not judged: {flag}: {why}" for flag, why in self.unjudged.items()]
        if self.silent:
            lines.append(f"promising nothing that is judged: {'; '.join(self.silent)}")
        return [*lines, *self.warnings]

    @property
    def warnings(self) -> list[str]:
        return [f"not covered: {one}" for one in self.unknown]

    def to_json(self) -> dict[str, Any]:
        return {
            "system": self.system,
            "intent": self.intent.model_dump(mode="json", exclude_unset=True),
            "promised": self.promised,
            "not_judged": self.unjudged,
            "promising_nothing": list(self.silent),
            "not_covered": list(self.unknown),
        }


def read_command(text: str, system: str | None = None) -> CommandRead:
    """The intent of a training command. Raises Refused for one that is none, or that its script would refuse."""
    command = taken_apart(text)
    chosen = _system(command, system)
    flags = _flags(command, chosen)
    settings = {key: value for key, value in chosen.intent(flags, command).items() if value is not None}
    unknown = [*flags.unknown, *_of_launcher(command, settings), *_after(command)]
    try:
        intent = IntentFile.model_validate(settings)
    except ValidationError as error:
        raise refusal_of(error, "--from-command", "harness schema --intent") from None
    promised = {
        written: _promise(flags, name)
        for name, written in flags.written.items()
        if chosen.TABLE[name].promises and name not in flags.unjudged
    }
    return CommandRead(
        system=chosen.NAME,
        about=chosen.ABOUT,
        intent=intent,
        promised=promised,
        unjudged={flags.written[name]: why for name, why in flags.unjudged.items()} | _autocast(command, settings),
        silent=(
            *(w for name, w in flags.written.items() if not chosen.TABLE[name].promises),
            *_around(command, unknown),
        ),
        unknown=tuple(unknown),
    )


def _promise(flags: Flags, name: str) -> str:
    """What a flag promises with the value that it was given."""
    promises = flags.quirks.get(name, flags.table[name].promises)
    return f"off, where on is: {promises}" if flags[name] is False else promises


def _autocast(command: Command, settings: dict[str, Any]) -> dict[str, str]:
    """A launcher's precision, where the script itself says none."""
    precision = command.launched.get("--mixed_precision")
    if precision is None:
        return {}
    said = "the script says another word on it" if settings.get("precision") else "what weights are kept in is not said"
    return {f"--mixed_precision {precision}": said}


def _system(command: Command, name: str | None) -> Any:
    if name is not None:
        if name not in SYSTEMS:
            close = difflib.get_close_matches(name, SYSTEMS, n=1)
            do = f"did you mean {close[0]}?" if close else f"there are {', '.join(SYSTEMS)}"
            raise Refused(f"--system {name}: is unknown", do=do)
        return SYSTEMS[name]
    found = next((one for one in SYSTEMS.values() if one.is_its(command)), None)
    if found is None:
        raise Refused(f"{command.program} has flags of no system that is known", where="--from-command",
                      do=f"say whose they are: --system, one of {', '.join(SYSTEMS)}")  # fmt: skip
    return found


def _flags(command: Command, system: Any) -> Flags:
    """The flags: of configuration files first, over which what is on the command line goes."""
    words, settings, placed = list(command.arguments), list[tuple[str, Any, str]](), list[str]()
    if system in (llama_factory, trl) and words and not words[0].startswith("-"):
        placed.append(words.pop(0))  # what the tool is told to do: train, sft
        if Path(placed[0]).suffix in (".yaml", ".yml", ".json"):
            words.insert(0, placed.pop())
    if system is llama_factory and words and Path(words[0]).suffix in (".yaml", ".yml", ".json"):
        settings += _file(words.pop(0))
    if system is trl and "--config" in words[:-1]:
        at = words.index("--config")
        settings += _file(words[at + 1])
    assigned = [word for word in words if system is llama_factory and "=" in word and not word.startswith("-")]
    flags = read_flags([word for word in words if word not in assigned], system.TABLE)
    given = Flags(system.TABLE)
    for name, value, written in settings:
        given.put(name, value, written)
    for word in assigned:
        given.put(word.partition("=")[0], word.partition("=")[2], word)
    return Flags(
        system.TABLE, given.values | flags.values, given.written | flags.written, [*given.unknown, *flags.unknown]
    )


def _file(path: str) -> list[tuple[str, Any, str]]:
    """The settings of a configuration file, each as it could be written."""
    value = read_yaml(Path(path), "configuration")
    if not isinstance(value, Mapping):
        raise Refused("is no mapping of settings", where=path, do="name the trainer's configuration file")
    return [
        (
            str(name),
            one if isinstance(one, list) else str(one).lower() if isinstance(one, bool) else one,
            f"{name}: {one}",
        )
        for name, one in value.items()
        if one is not None
    ]


def _of_launcher(command: Command, settings: dict[str, Any]) -> list[str]:
    """What a launcher is told beside the processes: accumulation and ZeRO, as accelerate has them."""
    left: list[str] = []
    told = dict(command.launched)
    told.pop("--mixed_precision", None)
    steps = told.pop("--gradient_accumulation_steps", "")
    if steps.isdecimal() and settings.get("accumulation") in (None, 1):
        settings["accumulation"] = int(steps)
    deepspeed, stage = "--use_deepspeed" in told, told.pop("--zero_stage", None)
    told.pop("--use_deepspeed", None)
    if deepspeed and stage in ("0", "1", "2", "3"):
        settings.setdefault("zero", {"stage": int(stage)})
    elif stage is not None:
        left.append(f"--zero_stage {stage}")
    return left + [f"{name} {value}".strip() for name, value in told.items() if name not in OF_LAUNCHERS]


def _around(command: Command, unknown: list[str]) -> list[str]:
    """What is said to the shell and to launchers, but for what is unknown."""
    launched = [f"{name} {value}".strip() for name, value in command.launched.items()]
    told = [one for one in launched if one not in unknown and not one.startswith("--mixed_precision")]
    return [*(f"{name}={value}" for name, value in command.environment.items()), *told]


def _after(command: Command) -> list[str]:
    return [" ".join(command.rest)] if command.rest else []
