"""A training command taken apart: what starts it, what is started, and with which arguments."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

from harness.refusal import Refused

_ASSIGNED = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_PYTHON = re.compile(r"(?:.*/)?python[\d.]*")
_AFTER = {"|", "||", "&&", "&", ";", ">", ">>", "2>&1", "&>", "<", "2>"}
TORCHRUN = ("torchrun", "torch.distributed.run", "torch.distributed.launch")
# Flags of launchers that stand alone, with no value after them.
ALONE = {"--standalone", "--use_env", "--no_python", "--multi_gpu", "--use_deepspeed", "--use_fsdp", "--cpu", "-u",
         "-m", "--module", "--mps", "--no_local_rank", "--force_multi", "--same_network", "--use_cpu"}  # fmt: skip


@dataclass
class Command:
    """A command: `program` is the script, the module or the tool; `launched` are the launcher's own flags."""

    text: str
    program: str = ""
    arguments: list[str] = field(default_factory=list)
    launcher: str = ""
    launched: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)


def taken_apart(text: str) -> Command:
    """The parts of a command. Raises Refused for what is none."""
    try:
        words = shlex.split(text.replace("\\\n", " "), comments=True)
    except ValueError as error:
        raise Refused(f"is no command: {error}", where="--from-command", do="quote it as a whole") from None
    command = Command(text)
    end = next((at for at, word in enumerate(words) if word in _AFTER), len(words))
    words, command.rest = words[:end], words[end:]
    while words and _ASSIGNED.fullmatch(words[0]):
        name, _, value = words.pop(0).partition("=")
        command.environment[name] = value
    _started(command, words)
    if not command.program:
        raise Refused("starts no script", where="--from-command", do="give the whole line: 'torchrun train.py ...'")
    return command


def _started(command: Command, words: list[str]) -> None:
    """What is started, through however many launchers."""
    while words:
        word = words.pop(0)
        name = word.rpartition("/")[2]
        if _PYTHON.fullmatch(word):
            while words and words[0].startswith("-") and words[0] != "-m":
                command.launched[words.pop(0)] = ""
            if words[:1] == ["-m"]:
                words.pop(0)
                module = words.pop(0) if words else ""
                if module not in TORCHRUN and not module.startswith(("deepspeed", "accelerate")):
                    command.program, command.arguments = module, words
                    return
                words.insert(0, module)
        elif name in TORCHRUN or name.startswith(("deepspeed", "accelerate")):
            command.launcher = name.partition(".")[0] if not name.startswith("torch") else "torchrun"
            if words[:1] == ["launch"]:
                words.pop(0)
            words = _launched(command, words)
        else:
            command.program, command.arguments = word, words
            return


def _launched(command: Command, words: list[str]) -> list[str]:
    """Take a launcher's own flags off the words that follow it."""
    while words and words[0].startswith("-"):
        flag, equals, value = words.pop(0).partition("=")
        if equals:
            command.launched[flag] = value
        elif flag in ALONE or not words or words[0].startswith("--"):
            command.launched[flag] = ""
            if flag in ("-m", "--module"):
                break
        else:
            command.launched[flag] = words.pop(0)
    return words
