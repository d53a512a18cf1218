"""Does the configuration say the sizes and dtypes that the tensors have, and are tied weights one tensor?"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from harness.checkpoint.inspecting.case import Case, NotJudged, by
from harness.checkpoint.inspecting.directory import FLOATS, QUANTIZED, Directory, canonical, size_of
from harness.checkpoint.inspecting.findings import (
    ConfigurationDiffers,
    HeadMissing,
    MixedDtypes,
    OtherDtype,
    TieBroken,
)
from harness.checkpoint.inspecting.values import differ
from harness.checkpoint.json_files import CONFIG
from harness.result import Finding, Severity
from harness.wording import listed

_NAMES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "float64": "F64"}
_KEPT_PRECISE = re.compile(r"router|gate\.weight$|mlp\.gate|norm|scale|e_score|A_log|conv1d|position|query|freq")
_NUMBER = re.compile(r"\.\d+(?=\.)")


def configuration(case: Case) -> Iterator[Finding]:
    """Rows, columns and layers of the language model, which can be told by names alone."""
    saved = case.saved
    if case.kind != "full" or not saved.config:
        raise NotJudged("it holds no whole model with a configuration")
    if saved.damaged or not saved.embedding:
        raise NotJudged("not every file of weights can be read" if saved.damaged else "it has no table of tokens")
    for name, there, where in _sizes(saved, saved.embedding):
        said = saved.setting(name)
        if isinstance(said, int) and there is not None and said != there:
            yield ConfigurationDiffers(
                expected=f"{name} {there}, as its tensors have",
                seen=str(said),
                where=f"{case.path / CONFIG}: {name}; {where}",
                cause="the model was changed after its configuration was written, or the file is another model's",
                do="save model and configuration together: model.save_pretrained(directory)",
            )


def _sizes(saved: Directory, embedding: str) -> Iterator[tuple[str, int | None, str]]:
    facts = saved.tensors[embedding]
    if facts["dtype"] in QUANTIZED or len(facts["shape"]) != 2:
        return
    shown = f"{embedding} is {by(facts['shape'])}"
    yield "vocab_size", facts["shape"][0], shown
    if not saved.setting("embedding_size") and not saved.setting("word_embed_proj_dim"):
        yield "hidden_size", facts["shape"][1], shown
    root = re.escape(embedding.rpartition(".")[0].rpartition(".")[0])
    pattern = re.compile(rf"{root}\.layers\.(\d+)\." if root else r"layers\.(\d+)\.")
    numbers = {int(found[1]) for key in saved.tensors if (found := pattern.match(key))}
    # More than are said may be a layer that predicts further tokens.
    fewer = max(numbers) + 1 if numbers else None
    said = saved.setting("num_hidden_layers")
    if fewer is not None and isinstance(said, int) and fewer < said:
        yield "num_hidden_layers", fewer, f"{fewer} layers under {embedding.rpartition('.')[0].rpartition('.')[0]}"


def dtypes(case: Case) -> Iterator[Finding]:
    """One dtype in each component, but for what is kept precise on purpose or mixed in the base too."""
    saved = case.saved
    if not saved.tensors:
        raise NotJudged("there are no weights that can be read")
    known = _mixed(case.base) if case.base else {}
    for component, found in _mixed(saved).items():
        if component not in known:
            rare = min(found, key=lambda dtype: (len(found[dtype]), dtype))
            spread = ", ".join(f"{len(keys)} in {dtype}" for dtype, keys in sorted(found.items()))
            yield MixedDtypes(
                expected=f"one dtype for the matrices of {component}",
                seen=spread,
                where=listed(sorted(found[rare])),
                cause="a part was trained or laid over in another precision and saved as it was",
                do="cast the model to one dtype before saving it",
                severity=Severity.WARNING,
            )
    yield from _said(case)


def _mixed(place: Directory) -> dict[str, dict[str, list[str]]]:
    """By component: its matrices by dtype, where there are several."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for key, facts in place.tensors.items():
        if facts["dtype"] in FLOATS and len(facts["shape"]) > 1 and not _KEPT_PRECISE.search(key):
            found[_component(key)][facts["dtype"]].append(key)
    return {component: dict(kinds) for component, kinds in found.items() if len(kinds) > 1}


def _component(key: str) -> str:
    """The first word that is not a wrapper; what has layers and no such word is the language model."""
    first = canonical(key).split(".")[0]
    return "the language model" if first in ("layers", "embed_tokens", "lm_head", "norm", "llm") else first


def _said(case: Case) -> Iterator[Finding]:
    config = case.saved.config
    said = config.get("dtype") or config.get("torch_dtype") or case.saved.setting("torch_dtype")
    wanted = _NAMES.get(str(said).removeprefix("torch."))
    if case.kind != "full" or wanted is None or config.get("quantization_config"):
        return
    sizes: Counter[str] = Counter()
    for facts in case.saved.tensors.values():
        if facts["dtype"] in FLOATS:
            sizes[facts["dtype"]] += size_of(facts)
    most = sizes.most_common(1)[0][0] if sizes else wanted
    if most != wanted:
        yield OtherDtype(
            expected=f"{wanted}, as {CONFIG} says",
            seen=f"most of its tensors in {most}",
            where=f"{case.path / CONFIG}: dtype",
            cause="the weights were cast, or the configuration copied, after the other was written",
            do="say in the configuration what the tensors are: a loader that follows it rounds them",
            severity=Severity.WARNING,
        )


def ties(case: Case) -> Iterator[Finding]:
    """The input and output embeddings against what the configuration says of them."""
    saved = case.saved
    source = saved if saved.config else case.base
    if not case.whole or source is None:
        raise NotJudged("it holds no whole model with a configuration")
    if source.tied is None:
        raise NotJudged("its configuration does not say whether they are tied")
    embedding, head = saved.embedding, saved.head
    if embedding is None or saved.damaged:
        raise NotJudged("not every file of weights can be read" if saved.damaged else "it has no table of tokens")
    where = f"{embedding} and {head or 'the output layer'}; {source.path / CONFIG}: tie_word_embeddings"
    if source.tied and head is not None:
        if seen := _apart(case, saved.tensors[embedding], embedding, saved.tensors[head], head):
            yield TieBroken(
                expected="one tensor, or two that are equal: tie_word_embeddings is true",
                seen=f"two that differ {seen}: loading keeps the first and forgets the output layer",
                where=where,
                cause="an adapter was merged into one of them, or one was trained apart, and the tie was kept in the"
                " configuration",
                do="set tie_word_embeddings to false in the model's configuration and save it again",
            )
    elif not source.tied and head is None and not (source.headless or case.is_left_out("lm_head.weight")):
        if case.base is not None and case.base.head is None and case.base.tensors:
            return  # a model without an output layer, or one that ties them by its own code
        yield HeadMissing(
            expected="an output layer of its own: tie_word_embeddings is false",
            seen="no such tensor: loading makes it up at random, without an exception",
            where=where,
            cause="saved from the model without its head, or tied while it was trained",
            do="save the model with its head, or say that the two are tied",
        )


def _apart(case: Case, one: dict[str, Any], first: str, other: dict[str, Any], second: str) -> str:
    if one["shape"] != other["shape"]:
        return f"in shape, {by(one['shape'])} and {by(other['shape'])}"
    if one["dtype"] != other["dtype"]:
        return f"in dtype, {one['dtype']} and {other['dtype']}"
    return differ(case.path, (one["file"], first), (other["file"], second), whole=case.hashes)
