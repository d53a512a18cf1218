"""Are the files there, can they be read, and do they agree?"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from harness.checkpoint.inspecting.case import Case, NotJudged
from harness.checkpoint.inspecting.directory import size_of
from harness.checkpoint.inspecting.findings import CodeDefect, OtherModel, RoleMissing, ShardsDisagree, Unreadable
from harness.checkpoint.inspecting.library import expects_images, processor_names
from harness.checkpoint.json_files import CONFIG
from harness.checkpoint.missing import consequence, missing_roles
from harness.checkpoint.problems import About
from harness.checkpoint.repair import obstacle
from harness.checkpoint.roles import CODE, IMAGE_PROCESSOR, PROCESSOR, TOKENIZER
from harness.checkpoint.shards import INDEXES
from harness.checkpoint.tensors import weight_files
from harness.result import Finding, Severity
from harness.wording import listed

_CAUSES = {
    About.NOTHING: ("a configuration and weights", "nothing was saved there, or the path is another directory's"),
    About.WEIGHTS: ("a file whose header describes its data", "the disk was full, or writing or fetching was cut off"),
    About.JSON: ("a JSON object", "writing was cut off, or the file was edited by hand"),
    About.TWICE: ("each tensor in one file", "files of an earlier save were left behind"),
    About.INDEX: (
        "an index that says which shard holds which tensor",
        "files of another save, or some were not copied",
    ),
}


def readable(case: Case) -> Iterator[Finding]:
    """Headers, JSON, and that there is something at all."""
    for about, problem in case.saved.problems:
        if about in (About.WEIGHTS, About.JSON) or (about is About.NOTHING and case.kind != "processing"):
            expected, cause = _CAUSES[about]
            yield Unreadable(expected=expected, seen=problem.what, where=problem.where, cause=cause, do=problem.do)


def shards(case: Case) -> Iterator[Finding]:
    """The index against the shards."""
    agree = True
    for about, problem in case.saved.problems:
        if about in (About.TWICE, About.INDEX):
            agree = False
            expected, cause = _CAUSES[about]
            do = case.repair if "--repair" in problem.do else problem.do
            yield ShardsDisagree(expected=expected, seen=problem.what, where=problem.where, cause=cause, do=do)
    if agree:
        yield from _total(case)


def _total(case: Case) -> Iterator[Finding]:
    """The size that the index says all tensors have together; no loader asks for it, tools that plan memory do."""
    index = next((name for name in INDEXES if (case.path / name).is_file()), None)
    metadata = case.saved.json(index).get("metadata") if index else None
    said = metadata.get("total_size") if isinstance(metadata, dict) else None
    if not isinstance(said, int) or case.saved.damaged or index != INDEXES[0]:
        return
    there = sum(size_of(facts) for file in weight_files(case.path) for facts in case.saved.files[file.name].values())
    if said != there:
        yield ShardsDisagree(
            expected=f"total_size {there}, as all tensors have together",
            seen=str(said),
            where=str(case.path / str(index)),
            cause="a shard was exchanged or added after the index was written",
            do="write the index anew from the shards' own keys",
            severity=Severity.WARNING,
        )


def files(case: Case) -> Iterator[Finding]:
    """Every role that the base plays; without a base those that its own type has."""
    played, bases = case.saved.played, case.base.played if case.base else {}
    code = case.saved.code
    for role in missing_roles(bases, played, case.kind):
        if role in case.without:
            continue
        if role == CODE and (code.missing or code.elsewhere):
            continue  # said file by file, or in a repository
        yield _missing(case, role, bases.get(role, []))
    if case.base is None:
        yield from _missing_of_type(case)


def _missing(case: Case, role: str, names: list[str]) -> Finding:
    absent = [name for name in names if not (case.path / name).exists()]
    seen = f"{', '.join(absent)} {'is' if len(absent) == 1 else 'are'} missing" if absent else "no file plays this role"
    base = case.base.path if case.base else None
    return RoleMissing(
        expected=f"{', '.join(names)}, as in {base}" if names else f"a file with the {role}",
        seen=f"{consequence(role, case.path, case.saved.played)}: {seen}",
        where=str(case.path),
        cause=_why(role, case.saved.played),
        do=(obstacle(role, case.path, base) or case.repair) if base else "save it again",
        role=role,
    )


def _why(role: str, played: Collection[str]) -> str:
    if role in (PROCESSOR, IMAGE_PROCESSOR) and TOKENIZER in played:
        return "the trainer saved the tokenizer, not the processor"
    return "nothing was saved, or under another name" if role.endswith("weights") else "the trainer did not write it"


def _missing_of_type(case: Case) -> Iterator[Finding]:
    """A processor that the model's type has in transformers, of a directory that was given no base."""
    if case.kind != "full" or case.saved.own_code or not expects_images(case.saved.config):
        return
    kind = str(case.saved.config.get("model_type"))
    names = processor_names().get(kind, set())
    usual = listed(sorted(names))
    for role in (PROCESSOR, IMAGE_PROCESSOR) if names else ():
        if role not in case.saved.played and role not in case.without:
            yield RoleMissing(
                expected=f"the files of {usual}, which models of type {kind} have",
                seen=f"{consequence(role, case.path, case.saved.played)}: no file plays this role",
                where=str(case.path),
                cause="the trainer saved the model and perhaps the tokenizer, not the processor",
                do="processor.save_pretrained(directory), or name the base: --base BASE --repair",
                role=role,
            )


def code(case: Case) -> Iterator[Finding]:
    """The code files that any configuration names."""
    found = case.saved.code
    absent = {str(case.path / name): name for name in found.missing}
    for problem in found.problems:
        do = problem.do
        if case.base and problem.where in absent:
            base = case.base.path
            there = (base / absent[problem.where]).is_file()
            do = case.repair if there else f"fetch it where {base} came from: it lacks it too"
        yield CodeDefect(
            expected="every class that auto_map names can be imported",
            seen=problem.what,
            where=problem.where,
            cause="save_pretrained copies code only for classes that were registered for an Auto class",
            do=do,
        )


def model(case: Case) -> Iterator[Finding]:
    """The type of the model against the base's."""
    if case.base is None:
        raise NotJudged("there is no base to hold it against")
    trained, started = (place.config.get("model_type") for place in (case.saved, case.base))
    if trained and started and trained != started:
        yield OtherModel(
            expected=f"a model of type {started}, as in {case.base.path}",
            seen=f"one of type {trained}",
            where=str(case.path / CONFIG),
            cause="the base is another model's, or the configuration was written by another class",
            do="name the directory that it was trained from with --base",
        )
