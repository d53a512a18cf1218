"""Intents read off training commands: the flags of systems, by one table each of what a flag promises."""

from harness.intents.commands.reading import SYSTEMS, CommandRead, read_command

__all__ = ["SYSTEMS", "CommandRead", "read_command"]
