"""Are all tensors there, under their names, in their shapes?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from harness.checkpoint.inspecting.case import Case, NotJudged, by
from harness.checkpoint.inspecting.directory import QUANTIZED, canonical, is_embedding, is_head
from harness.checkpoint.inspecting.findings import KeysMissing, KeysUnexpected, OtherNames, OtherShape
from harness.checkpoint.inspecting.promise import Promise, promise_of
from harness.checkpoint.problems import promised
from harness.refusal import Refused
from harness.result import Finding, Severity
from harness.wording import count, listed

_ANOTHER = "saved from another class or another release of the library, or the configuration is another model's"


def keys(case: Case) -> Iterator[Finding]:
    """Missing and unexpected tensors, joined under canonical names."""
    promise = _promise(case)
    own = _own(case)
    if case.whole:
        hidden = _hidden(case)
        missing = [
            key
            for name, key in promise.names.items()
            if name not in own and name not in hidden and not (promise.is_optional(key) or case.is_left_out(key))
        ]
        if missing and case.saved.damaged and not hidden:
            raise NotJudged(f"{listed(sorted(case.saved.damaged))} cannot be read, and no index says what is in it")
        if missing:
            yield _missing(case, promise, missing)
    unexpected = [key for name, key in own.items() if name not in promise.names and not _may_be_there(case, key)]
    if unexpected:
        yield KeysUnexpected(
            expected=f"only tensors that {promise.source} has",
            seen=f"{count(len(unexpected), 'tensor')} more",
            where=listed(sorted(unexpected)),
            cause=_prefixed(case, unexpected, promise) or _ANOTHER,
            do="save the model that was trained by its own class, or name the base that it was trained from",
        )


def _missing(case: Case, promise: Promise, missing: Sequence[str]) -> Finding:
    place = "loading makes them up, at random or as zeros, without an exception"
    return KeysMissing(
        expected=count(len(promise.names), "tensor") + f", as {promise.source} has",
        seen=f"{len(missing)} of them are not there: {place}",
        where=listed(sorted(missing)),
        cause=_prefixed(case, list(case.saved.tensors), promise)
        or "a part of the model was saved, or a shard is of another save",
        do="save the whole model again, or compose it: harness inspect BASE --with-vision-from DIR"
        if case.base
        else "save the whole model again",
    )


def names(case: Case) -> Iterator[Finding]:
    """Names by which other releases will not find the tensors, though this one may."""
    if case.base is None:
        raise NotJudged("there is no base to hold it against")
    if case.kind != "full" or not case.base.by_canonical:
        return
    own, base = _own(case), case.base.by_canonical
    other = {key: base[name] for name, key in own.items() if name in base and base[name] != key}
    if other:
        first = min(other)
        yield OtherNames(
            expected=f"the names of {case.base.path}",
            seen=f"{count(len(other), 'tensor')} under other names: {first} is {other[first]} there",
            where=listed(sorted(other)),
            cause="a release of the library that renames them saved a model that was not loaded from a published one",
            do="load and save it with the release that will read it, or rename the tensors",
            severity=Severity.WARNING,
        )


def shapes(case: Case) -> Iterator[Finding]:
    """Shapes, but for rows that were added with tokens."""
    promise = _promise(case)
    tensors = case.saved.tensors
    wrong = []
    for name, key in _own(case).items():
        there, facts = promise.shape(name), tensors[key]
        if there is None or facts["dtype"] in QUANTIZED or tuple(facts["shape"]) == tuple(there):
            continue
        if not _grown(case, key, facts["shape"], there):
            wrong.append(f"{key} is {by(facts['shape'])} and not {by(there)}")
    if wrong:
        yield OtherShape(
            expected=f"the shapes of {promise.source}",
            seen=f"{count(len(wrong), 'tensor')} of another shape",
            where="; ".join(sorted(wrong)[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""),
            cause="a model of other sizes, a part of a tensor that lay in several processes, or tokens added to one of"
            " the two tables",
            do="save the whole tensors; after resize_token_embeddings save the model and its configuration together",
        )


def _promise(case: Case) -> Promise:
    if not case.saved.tensors:
        raise NotJudged("there are no weights that can be read")
    if case.kind == "native adapter" or not case.saved.files.keys() - set(_of_adapter(case)):
        raise NotJudged("it is an adapter: its tensors are held against modules")
    return promise_of(case)


def _of_adapter(case: Case) -> Collection[str]:
    return case.saved.played.get("adapter weights", ())


def _own(case: Case) -> dict[str, str]:
    """The tensors that stand for those of the model: canonical name to key; of an adapter what lies beside it."""
    if case.kind not in ("adapter", "adapter and trainables"):
        return case.saved.by_canonical or {key: key for key in case.saved.tensors}
    beside = (file for file in case.saved.files if file not in _of_adapter(case))
    return {canonical(key): key for file in beside for key in case.saved.files[file]}


def _hidden(case: Case) -> set[str]:
    """The tensors that lie in files which cannot be read, as far as the index says."""
    if not case.saved.damaged:
        return set()
    try:
        places = promised(case.path) or {}
    except Refused:
        return set()
    return {canonical(key) for key, file in places.items() if file in case.saved.damaged}


def _may_be_there(case: Case, key: str) -> bool:
    """A tied output layer that was saved all the same."""
    return is_head(key) and case.saved.embedding is not None and _tied(case) is not False


def _tied(case: Case) -> bool | None:
    source = case.saved if case.saved.config else case.base
    return source.tied if source else None


def _grown(case: Case, key: str, own: Sequence[int], base: Sequence[int]) -> bool:
    """Whether a table has more or fewer rows because its own configuration says so."""
    if not (is_embedding(key) or is_head(key)) or list(own[1:]) != list(base[1:]) or case.base is None:
        return False
    if not case.saved.config:  # beside an adapter, or of a native loop: nothing says how many there should be
        return case.kind != "full" and own[0] > base[0]
    return bool(own[0] == case.saved.setting("vocab_size"))


def _prefixed(case: Case, own: Sequence[str], promise: Promise) -> str:
    """A prefix that stands before every name in the file and that nobody expects."""
    first = {key.split(".")[0] for key in own}
    if len(first) != 1 or case.kind in ("partial", "projector"):
        return ""
    prefix = first.pop()
    stripped = {canonical(key.removeprefix(f"{prefix}.")) for key in own}
    found = len(stripped & promise.names.keys())
    return f"every name begins with {prefix!r}, and without it {found} of them fit" if found * 2 > len(stripped) else ""
