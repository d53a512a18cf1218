"""What a user asked for and cannot have, said in one line."""

from __future__ import annotations


class Refused(Exception):
    """Bad input: one line that says what is wrong, where, and what to do.

    Raised anywhere below the command line; the command line prints it and exits with status 2.
    """

    def __init__(self, what: str, *, where: str = "", do: str = "") -> None:
        self.what = _one_line(what)
        self.where = _one_line(where)
        self.do = _one_line(do)
        super().__init__(str(self))

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        return f"{line}; {self.do}" if self.do else line


class Lacking(Refused):
    """What the installed release of a library does not have, and another one has: no fault of the input. In a suite its
    recipes do not apply, by name; asked for by itself it is refused like everything else."""


def _one_line(text: str) -> str:
    return " ".join(str(text).split())
