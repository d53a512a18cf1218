"""Which parameter is which component: as the file says, as a family has it, or as the names of modules suggest."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from harness.checks.written import names_of
from harness.families import family, names
from harness.intents.file import IntentFile
from harness.patterns import expression, meets
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.trace.naming import Naming, unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.intent import Intent
    from harness.trace.reader import Trace

SEEING = {"vision", "connector"}
# By words that people name modules with; the first that meets a name has it.
BY_MODULES: tuple[tuple[str, str], ...] = (
    (r"(?:.*\.)?(?:\w+_)?(?:audio|speech|apm)\w*\.", "audio"),
    (
        r"(?:.*\.)?\w*(?:projector|connector|resampler|merger|aligner|abstractor|qformer|vision_proj\b|mm_proj)\w*\.",
        "connector",
    ),
    (r"(?:.*\.)?(?:\w+_)?(?:vision|visual|vpm|image_encoder|clip|siglip|vit)\w*\.", "vision"),
    (r"(?:.*\.)?(?:embed_tokens|tok_embeddings|word_embeddings|wte)\.", "embeddings"),
    (r"(?:.*\.)?(?:lm_head|embed_out)\.", "lm_head"),
    (r"(?:.*\.)?(?:language|llm|text|decoder)\w*\.", "language"),
    (r"(?:model\.|transformer\.)?(?:layers|norm|h|ln_f)\.", "language"),
)


def naming_of(file: IntentFile, trace: Trace) -> Naming:
    """The names for a trace: those that the file says, those it was recorded with, else what is recognised."""
    said = naming_said(file)
    if file.components is not None:
        return _own(file, said, trace)
    if said:
        return said
    if trace.naming:
        return trace.naming
    found = recognised(trace)
    return family(found).naming if found else by_modules(trace)


def naming_said(file: IntentFile | Intent) -> Naming:
    """The names that an intent itself says; one that says nothing of them has none."""
    if not isinstance(file, IntentFile):
        return file.naming
    if file.family:
        return family(file.family).naming
    if file.components is None:
        return Naming()
    rules = [(_at_start(pattern), name) for name, patterns in file.components.items() for pattern in patterns]
    return Naming((), rules)


def _own(file: IntentFile, said: Naming, trace: Trace) -> Naming:
    """The file's components under the keys that the trace has: a pattern may also be about the path in memory."""
    naming = Naming(trace.naming.renames, said.components)
    trace = trace.named_by(naming)
    exact: dict[str, list[str]] = {}
    for parameter in trace.parameters:
        known = names_of(parameter, trace)
        wanted = next((name for name, patterns in (file.components or {}).items() if _any(patterns, known)), "other")
        if parameter.component != wanted:
            exact.setdefault(wanted, []).append(re.escape(parameter.key))
    return Naming(
        naming.renames, [(rf"(?:{'|'.join(keys)})\Z", name) for name, keys in exact.items()] + [*said.components]
    )


def _any(patterns: Iterable[str], known: tuple[str, ...]) -> bool:
    return any(meets(pattern, *known) for pattern in patterns)


def _at_start(pattern: str) -> str:
    """A pattern as rules of components have it, which are matched from the beginning of a name."""
    return rf"(?s:.*?)(?:{expression(pattern).pattern})"


def by_modules(trace: Trace) -> Naming:
    """Components by the words in the names of modules, of those that the model has."""
    paths = [unwrapped(p.path) for p in trace.parameters]
    held = Naming((), BY_MODULES)
    there = {held.component(path) for path in paths}
    return Naming((), [(pattern, name) for pattern, name in BY_MODULES if name in there])


def recognised(trace: Trace) -> str | None:
    """The family whose class the model has, and whose names fit every parameter; none where there is no such."""
    classes = {kind.rpartition(".")[2] for kind in trace.modules.values()}
    return next((name for name in names() if _is(name, trace, classes)), None)


def _is(name: str, trace: Trace, classes: Iterable[str]) -> bool:
    try:
        return _fits(name, trace, classes)
    except Refused:  # somebody's that cannot be had here: then it is not this one
        return False


def _fits(name: str, trace: Trace, classes: Iterable[str]) -> bool:
    chosen = family(name)
    known = {component for _, component in chosen.naming.components}
    if not known & SEEING:  # of text alone: any model of that kind has such names
        return False
    if str(family_facts(name, "tiny").save.model_class) not in classes:
        return False
    keys = [chosen.naming.canonical(p.path) for p in trace.parameters if p.role != "adapter"]
    seen = {chosen.naming.component(key) for key in keys}
    return "other" not in seen and known - {"lm_head"} <= seen


def facts_of(name: str, trace: Trace) -> Intent:
    """What a family's tables say of the size that the trace's model has, but for parts that it has not."""
    chosen = family(name)
    keys = [chosen.naming.canonical(p.path) for p in trace.parameters]
    found: list[Intent] = []
    for size in sorted(chosen.sizes):  # the full one first: a tiny model has no layers of its numbers
        facts = family_facts(name, size)
        there = tuple(one for one in facts.out_of_reach if any(re.match(one, key) for key in keys))
        found.append(facts.model_copy(update={"out_of_reach": there}))
    return max(found, key=lambda facts: len(facts.out_of_reach))


@cache
def family_facts(name: str, size: str) -> Intent:
    """The family's intent of its first tuning mode: what of it belongs to the model is the same in each."""
    chosen = family(name)
    settings = next(iter(chosen.modes().values()))
    data = {"mix": ["image"], **settings.get("data", {})}  # which any family that sees takes, whatever trains
    recipe = Recipe.model_validate({"trust_remote_code": True, **settings, "family": name, "data": data})
    return chosen.intent(recipe.model_copy(update={"size": size}))
