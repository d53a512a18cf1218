"""Does an adapter fit its base and its own configuration, and is there what was to be saved beside it?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.checkpoint.adapter import PREFIX, Adapter, read_adapter
from harness.checkpoint.fit import Fit, adapter_fit, differing
from harness.checkpoint.inspecting.case import Case, NotJudged
from harness.checkpoint.inspecting.directory import Directory, canonical, is_embedding
from harness.checkpoint.inspecting.findings import (
    AdapterMisfit,
    BesideMissing,
    HalfAdapter,
    OtherBase,
    OtherRank,
    TargetUnmet,
    Unreadable,
)
from harness.checkpoint.inspecting.vocabulary import vocabulary_of
from harness.checkpoint.json_files import ADAPTER_CONFIG, CONFIG
from harness.checkpoint.module_tree import module_tree
from harness.checkpoint.roles import ADAPTER_CONFIGURATION, ADAPTER_WEIGHTS
from harness.refusal import Refused
from harness.result import Finding, Severity
from harness.wording import count, listed

_NATIVE = re.compile(r"^(?P<module>.+)\.lora\.(?P<part>[AB])\.weight$")
_HALVES = (("lora_A", "lora_B"), ("lora_embedding_A", "lora_embedding_B"))


def adapter(case: Case) -> Iterator[Finding]:
    """Every tensor finds its module."""
    if case.base is None:
        raise NotJudged("there is no base to hold the adapter against")
    if case.kind == "native adapter":
        yield from _native(case, case.base)
        return
    if case.saved.damaged or case.base.damaged:
        raise NotJudged("not every file of weights can be read")
    if bare := _without_prefix(case):
        yield AdapterMisfit(
            expected=f"keys that begin with {PREFIX}",
            seen=f"{count(len(bare), 'key')} without it: peft loads none of them, and says so in a warning alone",
            where=listed(sorted(bare)),
            cause="the state dict of the model inside was saved, or the prefix was stripped by a script",
            do=f"rename its keys: put {PREFIX} before each",
        )
        return
    try:
        fit = case.remembered["fit"] = fit_of(case, case.base)
    except Refused as problem:
        yield Unreadable(
            expected="an adapter that can be held against a base",
            seen=problem.what,
            where=problem.where,
            cause="writing was cut off, or the file was edited by hand",
            do=problem.do,
        )
        return
    if not fit.fits:
        yield AdapterMisfit(
            expected=f"an adapter whose modules are in {case.base.path}",
            seen=fit.diagnosis,
            where=str(case.path),
            cause="the base is another model, or the same under the names of another release",
            do=_renaming(fit) or "load it on the model that it was made on, or train one on this base",
        )
    elif fit.unmet:
        yield TargetUnmet(
            expected="targets that each meet a module",
            seen=f"{', '.join(fit.unmet)} among its targets meets nothing there",
            where=f"{case.path / ADAPTER_CONFIG}: target_modules",
            cause="peft raises only where no target meets anything at all",
            do="name the modules as they are in the base, or leave the target out",
            severity=Severity.WARNING,
        )


def _without_prefix(case: Case) -> list[str]:
    """Keys that peft will not find. A method may share tensors under a shorter prefix, and prompts have none."""
    files = case.saved.played[ADAPTER_WEIGHTS]
    keys = [key for file in files for key in case.saved.files.get(file, ())]
    return [key for key in keys if not key.startswith(("base_model.", "prompt")) and "." in key]


def fit_of(case: Case, base: Directory) -> Fit:
    """How the adapter meets its base: by the names in the checkpoint, or else by the modules of its class."""
    fit = adapter_fit(case.path, base=base.path)
    if fit.fits:
        return fit
    if tree := module_tree(base.path) if case.build else None:
        return adapter_fit(case.path, tree.paths, base=base.path, shapes=tree.shapes)
    return _whatever_the_release(case, base) or fit


def _whatever_the_release(case: Case, base: Directory) -> Fit | None:
    """A fit by names without what releases put in, where the class that could say them is not to be had."""
    modules = {canonical(key).rpartition(".")[0] for key in base.tensors}
    own = read_adapter(case.path)
    within = all(any(m == name or m.startswith(f"{name}.") for m in modules) for name in map(canonical, own.modules))
    shapes = {canonical(key): tuple(facts["shape"]) for key, facts in base.tensors.items()}
    tensors = tuple(replace(t, module=canonical(t.module), part=canonical(t.part)) for t in own.tensors)
    if not within or any(differing(replace(own, tensors=tensors), shapes)):
        return None
    return Fit(True, (), (), None, (), "names, whatever the release,", "")


def _renaming(fit: Fit) -> str:
    """The renaming that would make it fit."""
    if fit.prefixes is None:
        return ""
    own, base = ("".join(f"{word}." for word in (prefix,) if word) for prefix in fit.prefixes)
    return (
        f"rename its keys: base_model.model.{own}… to base_model.model.{base}…, and target_modules likewise; or load it"
        " on the model that it was made on"
    )


def is_native(saved: Directory) -> bool:
    """Whether a directory holds the factors of a native loop's adapter and nothing else."""
    own = saved.kind == "native" and all(_NATIVE.match(key) for key in saved.tensors)
    return own and bool(saved.tensors)


def _is_of_peft(case: Case) -> bool:
    return {ADAPTER_CONFIGURATION, ADAPTER_WEIGHTS} <= set(case.saved.played)


def _native(case: Case, base: Directory) -> Iterator[Finding]:
    """An adapter as a native loop saves it: pairs of matrices under the names of the modules."""
    shapes = {canonical(key): facts["shape"] for key, facts in base.tensors.items()}
    wrong = []
    for key, facts in case.saved.tensors.items():
        if found := _NATIVE.match(key):
            weight = shapes.get(canonical(f"{found['module']}.weight"))
            side = 1 if found["part"] == "A" else 0
            if weight is None or weight[side] != facts["shape"][side]:
                wrong.append(key)
    if wrong:
        yield AdapterMisfit(
            expected=f"an adapter whose modules are in {base.path}",
            seen=f"{count(len(wrong), 'tensor')} for modules that it has not, or has in other sizes",
            where=listed(sorted(wrong)),
            cause="the base is another model",
            do="name the base that it was trained on",
        )


def _config(case: Case) -> tuple[Adapter, Mapping[str, Any]]:
    if not _is_of_peft(case):
        raise NotJudged("it holds no adapter of peft's")
    try:
        return read_adapter(case.path), case.saved.json(ADAPTER_CONFIG)
    except Refused as problem:
        raise NotJudged(f"the adapter cannot be read: {problem.what}") from None


def ranks(case: Case) -> Iterator[Finding]:
    """Ranks, and that no matrix is alone. Of methods other than LoRA the configuration says them otherwise."""
    own, config = _config(case)
    if config.get("peft_type", "LORA") != "LORA" or config.get("target_parameters"):
        raise NotJudged("its method says no rank for each module")
    rank, patterns = config.get("r"), _patterns(config, "rank_pattern")
    wrong: list[str] = []
    parts: dict[str, set[str]] = {}
    for tensor in own.tensors:
        if tensor.saved or len(tensor.shape) < 2:
            continue
        parts.setdefault(tensor.module, set()).add(tensor.part)
        axis = {"lora_A": 0, "lora_embedding_A": 0, "lora_B": 1, "lora_embedding_B": 1}.get(tensor.part)
        wanted = _of_pattern(patterns, tensor.module, rank)
        if axis is not None and isinstance(wanted, int) and tensor.shape[axis] != wanted:
            wrong.append(f"{tensor.module}.{tensor.part} has {tensor.shape[axis]} and not {wanted}")
    if wrong:
        yield OtherRank(
            expected=f"rank {rank}" + (", but for those in rank_pattern" if patterns else ""),
            seen=f"{count(len(wrong), 'tensor')} of another rank: loading fails on their shapes",
            where="; ".join(sorted(wrong)[:3]),
            cause="adapter_config.json is of another run, or was edited",
            do="take the configuration that was saved with these tensors",
        )
    alone = [module for module, has in parts.items() if any(len(has & set(pair)) == 1 for pair in _HALVES)]
    if alone:
        yield HalfAdapter(
            expected="both matrices of every module",
            seen=f"{count(len(alone), 'module')} with one of them: the other is made up",
            where=listed(sorted(alone)),
            cause="keys were filtered by name, or a shard of the adapter is missing",
            do="save the adapter again",
        )
    yield from _vain_patterns(case, own, config)


def _patterns(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = config.get(name)
    return value if isinstance(value, dict) else {}


def _of_pattern(patterns: Mapping[str, Any], module: str, otherwise: Any) -> Any:
    """A module's own rank, by peft's rule: the pattern is the end of its path."""
    for pattern, value in patterns.items():
        if _meets(pattern, module):
            return value
    return otherwise


def _meets(pattern: str, module: str) -> bool:
    try:
        return re.match(rf"(.*\.)?({pattern.removeprefix('^')})$", module) is not None
    except re.error:
        return False


def _vain_patterns(case: Case, own: Adapter, config: Mapping[str, Any]) -> Iterator[Finding]:
    modules = own.modules
    vain = [
        f"{name}: {pattern}"
        for name in ("rank_pattern", "alpha_pattern")
        for pattern in _patterns(config, name)
        if modules and not any(_meets(pattern, module) for module in modules)
    ]
    if vain:
        yield TargetUnmet(
            expected="patterns that each meet a module of the adapter",
            seen=f"{count(len(vain), 'pattern')} that meet none: those modules have the common rank and alpha",
            where=listed(sorted(vain)),
            cause="the modules were renamed, or the pattern begins with a prefix that peft does not see",
            do="write the pattern as the end of the module's path",
            severity=Severity.WARNING,
        )


def beside(case: Case) -> Iterator[Finding]:
    """Modules that were to be saved whole, and embeddings that grew with added tokens."""
    own, config = _config(case)
    saved = {canonical(tensor.part if tensor.saved else tensor.module) for tensor in own.tensors}
    gone = [name for name in own.modules_to_save if not any(_has(key, name) for key in saved)]
    if gone:
        yield BesideMissing(
            expected="every module of modules_to_save",
            seen=f"{listed(sorted(gone))} not there: loading takes the base's, which was never trained",
            where=f"{case.path / ADAPTER_CONFIG}: modules_to_save",
            cause="the save filtered keys by name, such as those with 'lora_' in them",
            do="model.save_pretrained(directory), without a state dict of your own",
        )
    yield from _grown(case, saved, config)


def _has(key: str, name: str) -> bool:
    return any(part == name for part in key.split(".")) or f".{canonical(name)}." in f".{key}."


def _grown(case: Case, saved: set[str], config: Mapping[str, Any]) -> Iterator[Finding]:
    tokens = vocabulary_of(case.saved)
    table = case.base.embedding if case.base else None
    if case.base is None or table is None or tokens is None or config.get("trainable_token_indices"):
        return
    rows = case.base.tensors[table]["shape"][0]
    tables = any(is_embedding(key) or is_embedding(f"{key}.weight") for key in saved)
    if tokens.size > rows and not tables and not any(is_embedding(key) for key in case.saved.tensors):
        yield BesideMissing(
            expected=f"embeddings with a row for each of {tokens.size} tokens: the base has {rows}",
            seen="none in the adapter: the new tokens come back with other rows, or not at all",
            where=f"{case.path}: adapter weights; {case.base.path}: {table}",
            cause="peft looks for vocab_size at the top of the configuration alone",
            do="save_pretrained(directory, save_embedding_layers=True)",
        )


def base(case: Case) -> Iterator[Finding]:
    """The base that the adapter's configuration leads to. A name of a repository cannot be held against a directory."""
    _, config = _config(case)
    if case.base is None:
        raise NotJudged("there is no base to hold it against")
    named = config.get("base_model_name_or_path")
    if not isinstance(named, str) or not named:
        return
    path, given = Path(named), case.base.path
    if path.is_dir():
        if path.samefile(given) or _alike(Directory(path), case.base):
            return
        seen = f"{named}, which is another model"
    elif path.is_absolute() and path.name != given.resolve().name and not _moved(path, given):
        seen = f"{named}, where there is nothing"
    else:
        return
    yield OtherBase(
        expected=f"{given}, or a directory that holds the same",
        seen=seen,
        where=f"{case.path / ADAPTER_CONFIG}: base_model_name_or_path",
        cause="the adapter was trained on another base, or the base was moved",
        do="load it with the base named by hand, or write the right path into the configuration",
        severity=Severity.WARNING,
    )


def _alike(one: Directory, other: Directory) -> bool:
    """Whether two directories hold tensors of the same names and shapes under one type of model."""
    if one.config.get("model_type") != other.config.get("model_type") or not (one.path / CONFIG).is_file():
        return False
    shapes = [{canonical(k): tuple(f["shape"]) for k, f in place.tensors.items()} for place in (one, other)]
    return shapes[0] == shapes[1]


def _moved(path: Path, given: Path) -> bool:
    """Whether the base's own configuration says that it is the one."""
    from harness.checkpoint.json_files import entries

    return entries(given / CONFIG).get("_name_or_path") == str(path)
