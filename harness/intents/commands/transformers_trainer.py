"""Any other script with transformers' TrainingArguments: how steps are made, and not what trains."""

from __future__ import annotations

from typing import Any

from harness.intents.commands import hf_arguments
from harness.intents.commands.flags import Flags
from harness.intents.commands.shell import Command

NAME, ABOUT = "transformers", "transformers' TrainingArguments; what trains is not among them"
TABLE = hf_arguments.TABLE


def is_its(command: Command) -> bool:
    return any(word.startswith(("--per_device_train_batch_size", "--output_dir")) for word in command.arguments)


def intent(flags: Flags, command: Command) -> dict[str, Any]:
    """What the flags promise: of precision nothing, for what the weights are kept in is the script's own doing."""
    for name in ("bf16", "fp16"):
        flags.not_judged(name, "what the weights are kept in is not on the command line")
    return hf_arguments.settings_of(flags, command)
