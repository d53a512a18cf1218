"""Do tokenizer, configuration and embeddings speak of the same tokens, and is the processor the right one?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.checkpoint.inspecting.case import Case, NotJudged
from harness.checkpoint.inspecting.directory import QUANTIZED, Directory, is_embedding
from harness.checkpoint.inspecting.findings import BeyondVocabulary, OtherProcessor, OtherTemplate, OtherToken
from harness.checkpoint.inspecting.library import image_processor_names, plain, processor_names
from harness.checkpoint.inspecting.vocabulary import Vocabulary, named_ids, special_tokens, vocabulary_of
from harness.checkpoint.json_files import PREPROCESSOR_CONFIG, PROCESSOR_CONFIG, TOKENIZER_CONFIG
from harness.checkpoint.roles import IMAGE_PROCESSOR, PROCESSOR
from harness.result import Finding, Severity
from harness.wording import count, listed

_SEEN = ("image_token", "video_token", "audio_token")


def vocabulary(case: Case) -> Iterator[Finding]:
    """A row for every token and every id, and one id for one token."""
    tokens = vocabulary_of(case.saved)
    rows = _rows(case)
    if rows is not None:
        yield from _beyond(case, tokens, rows)
    elif tokens is None:
        raise NotJudged("there is no table of tokens and no tokenizer")
    if tokens is not None:
        yield from _other_ids(case, tokens, rows)


def _rows(case: Case) -> int | None:
    """The rows of the table that the model will have: its own, or the base's where it has none."""
    places = [case.saved, *([case.base] if case.base and case.kind != "full" else [])]
    for place in places:
        for key, facts in place.tensors.items():
            if is_embedding(key) and len(facts["shape"]) == 2 and facts["dtype"] not in QUANTIZED:
                return int(facts["shape"][0])
    return None


def _beyond(case: Case, tokens: Vocabulary | None, rows: int) -> Iterator[Finding]:
    beyond = [
        f"{name} {number}"
        for name, ids in named_ids(case.saved).items()
        for number in sorted(set(ids))
        if number >= rows
    ]
    if tokens is not None:
        beyond += [f"{token} {number}" for token, number in tokens.ids.items() if number >= rows]
        if tokens.whole:
            # The library gives a token that it does not find a new id, after all others.
            unknown = sorted(set(special_tokens(case.saved).values()) - tokens.ids.keys())
            beyond += [f"{token} (not in the vocabulary)" for n, token in enumerate(unknown) if tokens.size + n >= rows]
    if beyond:
        yield BeyondVocabulary(
            expected=f"ids below {rows}, the embedding's rows",
            seen=f"{count(len(beyond), 'id')} without a row",
            where=listed(sorted(beyond)),
            cause="tokens were added and the embeddings not resized or not saved, or the tokenizer is another model's",
            do="model.resize_token_embeddings(len(tokenizer)) before training, and save model and tokenizer together",
        )


def _other_ids(case: Case, tokens: Vocabulary, rows: int | None) -> Iterator[Finding]:
    """A token that configuration and tokenizer number differently; where the base agrees, ends and pads too."""
    special = special_tokens(case.saved)
    for role, ids, where in _settings(case.saved):
        token = special.get(role)
        if token is None or token not in tokens.ids or tokens.ids[token] in ids:
            continue
        if rows is not None and max(ids) >= rows:
            continue  # said already
        if role in _SEEN or _agrees(case.base, role):
            yield OtherToken(
                expected=f"{role} {ids[0] if len(ids) == 1 else ids}, as {where} says",
                seen=f"{token} is {tokens.ids[token]} to the tokenizer",
                where=f"{case.path / TOKENIZER_CONFIG}; {where}",
                cause="the tokenizer or the configuration is of another model, or tokens were added in another order",
                do="save tokenizer and model of one run together",
                severity=Severity.ERROR if role in _SEEN else Severity.WARNING,
            )


def _settings(place: Directory) -> Iterator[tuple[str, list[int], str]]:
    """The role of a token, its ids, and the setting that says so."""
    for name, ids in named_ids(place).items():
        setting = name.rpartition(" ")[2]
        yield setting.removesuffix("_id").removesuffix("_index"), ids, name


def _agrees(base: Directory | None, role: str) -> bool:
    """Whether in the base configuration and tokenizer mean one token by this role, wherever they name it."""
    tokens = vocabulary_of(base) if base else None
    token = special_tokens(base).get(role) if base else None
    if base is None or tokens is None or token not in tokens.ids:
        return False
    said = [ids for other, ids, _ in _settings(base) if other == role]
    return bool(said) and all(tokens.ids[token] in ids for ids in said)


def processor(case: Case) -> Iterator[Finding]:
    """The classes of processor and image processor against the base's, or those of the model's type."""
    own = _classes(case.saved)
    if not own:
        raise NotJudged("its configurations name no processor's class")
    if case.base is not None:
        theirs = _classes(case.base)
        for role, name in own.items():
            if role in theirs and name != theirs[role]:
                yield _other(case, role, name, f"{theirs[role]}, as in {case.base.path}")
        return
    kind = case.saved.config.get("model_type")
    if not processor_names():
        raise NotJudged("transformers is not installed, which knows the classes: name its base with --base")
    if not isinstance(kind, str):
        raise NotJudged("it has no model's configuration")
    if case.saved.own_code:
        raise NotJudged("its classes are code of its own: name its base with --base")
    right = {plain(name) for name in processor_names().get(kind, ())}
    if right and own.get(PROCESSOR) and own[PROCESSOR] not in right:
        yield _other(case, PROCESSOR, own[PROCESSOR], f"{listed(sorted(right))}, which models of type {kind} have")
    known = set().union(*image_processor_names().values())
    if own.get(IMAGE_PROCESSOR) and known and own[IMAGE_PROCESSOR] not in known:
        yield _other(case, IMAGE_PROCESSOR, own[IMAGE_PROCESSOR], "an image processor that transformers has")


def _other(case: Case, role: str, name: str, expected: str) -> Finding:
    tokenizer = "Tokenizer" in name
    return OtherProcessor(
        expected=expected,
        seen=f"{name}, a tokenizer" if tokenizer else name,
        where=f"{case.path}: the {role}'s configuration",
        cause="the tokenizer was saved as the processor"
        if tokenizer
        else "the files of another model were copied beside the weights",
        do="take the base's: remove the file and run " + case.repair
        if case.base
        else "save the processor of the model that was trained",
    )


def _classes(place: Directory) -> dict[str, str]:
    """The class by which each role comes back, as far as the configurations say."""
    preprocessor, processor = (place.json(name) for name in (PREPROCESSOR_CONFIG, PROCESSOR_CONFIG))
    inner = processor.get("image_processor")
    images = inner if isinstance(inner, dict) else preprocessor
    named = [
        _named(content, "AutoProcessor", "processor_class")
        for content in (processor, preprocessor, place.json(TOKENIZER_CONFIG))
    ]
    image = _named(images, "AutoImageProcessor", "image_processor_type")
    found = {PROCESSOR: next(filter(None, named), ""), IMAGE_PROCESSOR: image}
    return {role: name for role, name in found.items() if name}


def _named(content: dict[str, Any], auto: str, setting: str) -> str:
    auto_map = content.get("auto_map")
    name = auto_map.get(auto) if isinstance(auto_map, dict) else None
    name = name.rpartition(".")[2] if isinstance(name, str) else content.get(setting)
    return plain(name) if isinstance(name, str) else ""


def chat_template(case: Case) -> Iterator[Finding]:
    """The template against the base's; that there is one is a question of files."""
    if case.base is None:
        raise NotJudged("there is no base to hold it against")
    own, base = _templates(case.saved), _templates(case.base)
    if own and base and not own & base:
        yield OtherTemplate(
            expected=f"the chat template of {case.base.path}",
            seen="another one",
            where="chat_template.jinja, or chat_template in tokenizer_config.json",
            cause="the training code set tokenizer.chat_template and saved the tokenizer with it",
            do="save the tokenizer with the template that whoever chats with it should use",
            severity=Severity.WARNING,
        )


def _templates(place: Directory) -> set[str]:
    found: list[Any] = [
        place.json(name).get("chat_template") for name in (TOKENIZER_CONFIG, PROCESSOR_CONFIG, "chat_template.json")
    ]
    path = place.path / "chat_template.jinja"
    if path.is_file():
        found.append(path.read_text(encoding="utf-8", errors="replace"))
    return {template.strip() for template in found if isinstance(template, str)}
