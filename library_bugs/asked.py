"""bugs.yaml: which bugs, in which versions, what meets each, and the checks that must see it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from harness.frozen import Frozen
from harness.recipe.yaml_file import read_yaml

HERE = Path(__file__).parent
FILE = HERE / "bugs.yaml"
SUITES, SCRIPTS, INTENTS = HERE / "suites", HERE / "scripts", HERE / "intents.yaml"


class Script(Frozen):
    """A training script as its users start it, the intent that it is held to, and by name the other ways of making the
    same run that it must agree with: `{scripts}` and `{out}` are places. With `reload`, what it saves is loaded again
    under the same libraries."""

    command: str
    intent: str
    partners: Mapping[str, str] = {}
    reload: bool = False

    def words(self, partner: str = "", **places: str) -> list[str]:
        """The command, or that of a partner run, with its places filled in."""
        return [word.format_map(places) for word in (self.partners[partner] if partner else self.command).split()]


class Bug(Frozen):
    """A released bug. Versions are by distribution; what they leave out is as installed.

    `recipe` is one of a suite beside this file, `SUITE::NAME`; what it saves under the versions of `saved_under`, if
    there are any, is only loaded under the others. `silent` says where nobody is told; `saying` is a word
    that a finding must have, so that a run that ends for another reason is not taken for the bug.
    """

    about: str
    threads: tuple[str, ...] = Field(min_length=1)
    silent: str
    recipe: str | None = None
    saved_under: Mapping[str, str] | None = None
    script: Script | None = None
    caught_by: tuple[str, ...] = Field(min_length=1)
    saying: str = ""
    broken: tuple[Mapping[str, str], ...] = Field(min_length=1)
    good: tuple[Mapping[str, str], ...] = Field(min_length=1)
    hash_seeds: tuple[int, ...] = ()

    @field_validator("threads")
    @classmethod
    def _public(cls, threads: tuple[str, ...]) -> tuple[str, ...]:
        if bad := [one for one in threads if not one.startswith("https://github.com/")]:
            raise ValueError(f"{bad[0]} is no public thread")
        return threads

    @model_validator(mode="after")
    def _one_way(self) -> Bug:
        if (self.recipe is None) == (self.script is None):
            raise ValueError("name a recipe or a script, and not both")
        return self

    @property
    def suite(self) -> tuple[Path, str]:
        """The file and the name of its recipe."""
        file, _, name = (self.recipe or "").partition("::")
        return SUITES / file, name


class Asked(Frozen):
    """The whole file."""

    description: str = ""
    bugs: Mapping[str, Bug]


def read_bugs(path: Path = FILE) -> Asked:
    return Asked.model_validate(read_yaml(path, "bugs"))
