"""The kinds of violations that a saved directory can show, one or more for each check."""

from __future__ import annotations

from dataclasses import dataclass

from harness.result import Finding


class Unreadable(Finding):
    """A file that is truncated, corrupt or not what its name says."""


class ShardsDisagree(Finding):
    """An index and shards that contradict each other, or a tensor in two files."""


@dataclass(frozen=True)
class RoleMissing(Finding):
    """A role that some file of the base plays, or that its type has, and none of the save."""

    role: str = ""


class CodeDefect(Finding):
    """Code that a configuration names and that will not be imported."""


class OtherModel(Finding):
    """A save of another model than the base."""


class KeysMissing(Finding):
    """Tensors that should be there: loading makes them up, without an exception."""


class KeysUnexpected(Finding):
    """Tensors that nothing will load."""


class OtherNames(Finding):
    """Tensors under the names of another release of the library."""


class OtherShape(Finding):
    """Tensors of another shape than the model's."""


class ConfigurationDiffers(Finding):
    """A configuration that says other sizes than the tensors have."""


class MixedDtypes(Finding):
    """Matrices of one component in several dtypes."""


class OtherDtype(Finding):
    """Tensors in another dtype than the configuration says."""


class TieBroken(Finding):
    """Weights that are said to be tied and differ."""


class HeadMissing(Finding):
    """An output layer of its own that was not saved."""


class BeyondVocabulary(Finding):
    """Token ids for which the embedding has no row."""


class OtherToken(Finding):
    """A token that is one id to the configuration and another to the tokenizer."""


class OtherProcessor(Finding):
    """A processor or image processor of another class than the model's type has."""


class OtherTemplate(Finding):
    """Another chat template than the base's."""


class AdapterMisfit(Finding):
    """An adapter for another model than the base."""


class TargetUnmet(Finding):
    """Targets, or patterns of ranks and alphas, that meet no module."""


class OtherRank(Finding):
    """Tensors of an adapter whose rank is not the one that its configuration says."""


class HalfAdapter(Finding):
    """A module that has one of its adapter's two matrices."""


class BesideMissing(Finding):
    """What should have been saved beside an adapter and was not."""


class OtherBase(Finding):
    """An adapter that names another base than the one it was given."""


class NotFinite(Finding):
    """Tensors with values that are no numbers, or infinite."""
