"""A small tokenizer that knows every special token which a processor asks for, read from the processor's own code."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from harness import stack_classes
from harness.families.tokenizers import byte_level_bpe, byte_level_tokenizer, shipped_text

PAD, BEGIN, UNKNOWN, OPEN, CLOSE = "<|pad|>", "<|begin|>", "<|unknown|>", "<|im_start|>", "<|im_end|>"
ORDINARY = 640  # tokens learned from the shipped texts; special ones come after them
ROLES = ("user", "assistant")
# How special tokens are written: <image>, <|image_pad|>, </tool>, [IMG], ]<]image[>[, <0x04>, |SPEAKER|.
_SPECIAL = re.compile(r"<[^<>\s]{1,40}>|\[[A-Z_]{2,24}\]|\]<\][\w ]{1,30}\[>\[|[|¦][A-Z]{3,}[|¦]")
CHAT_TEMPLATE = (
    "{{% for message in messages %}}{{{{ '{open}' ~ message['role'] ~ '\n' }}}}"
    "{{% if message['content'] is string %}}{{{{ message['content'] }}}}{{% else %}}"
    "{{% for part in message['content'] %}}{{% if part['type'] == 'image' %}}{picture}"
    "{{% elif part['type'] == 'text' %}}{{{{ part['text'] }}}}{{% endif %}}{{% endfor %}}{{% endif %}}"
    "{{{{ '{close}\n' }}}}"
    "{{% endfor %}}{{% if add_generation_prompt %}}{{{{ '{open}assistant\n' }}}}{{% endif %}}"
)


def chat_template(picture: str) -> str:
    """ChatML, with a token for every picture."""
    return CHAT_TEMPLATE.format(open=OPEN, close=CLOSE, picture=picture)


@cache
def named_in_code(kind: type) -> tuple[str, ...]:
    """The special tokens that the module of a processor's class writes out, in the order of its code."""
    found = dict.fromkeys(
        node.value
        for tree in _trees(kind)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _SPECIAL.fullmatch(node.value)
    )
    return tuple(found)


@cache
def asked_of_tokenizer(kind: type) -> tuple[str, ...]:
    """The names of tokens that a processor's class reads from its tokenizer: image_token, boi_token."""
    found = dict.fromkeys(
        name.removesuffix("_id").removesuffix("_ids")
        for tree in _trees(kind)
        for name in _attributes_of(tree, "tokenizer")
        if re.fullmatch(r"(?!add_)\w+_token(_ids?)?", name)
    )
    return tuple(name for name in found if name not in ("bos_token", "eos_token", "pad_token", "unk_token"))


@cache
def written_for(kind: type) -> dict[str, str]:
    """The tokens that a processor's class has itself, by name: those it sets, and those it takes where its tokenizer
    has none."""
    found: dict[str, str] = {}
    for tree in _trees(kind):
        for node in ast.walk(tree):
            name, value = _set_by(node)
            if name.endswith("_token") and isinstance(value, ast.Constant) and isinstance(value.value, str):
                found.setdefault(name, value.value)
    return found


def _set_by(node: ast.AST) -> tuple[str, ast.AST | None]:
    """The name and the value of `self.name = value`, and of `getattr(tokenizer, name, value)`."""
    if (
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Attribute)
        and _is(node.targets[0].value, "self")
    ):
        return node.targets[0].attr, node.value
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr"):
        return "", None
    asked = len(node.args) == 3 and _is(node.args[0], "tokenizer") and isinstance(node.args[1], ast.Constant)
    return (str(ast.literal_eval(node.args[1])), node.args[2]) if asked else ("", None)


def _trees(kind: type) -> list[ast.AST]:
    """The code of a class and of those of its bases that are of the library's models."""
    written = ("transformers.models.", "transformers_modules.")
    modules = dict.fromkeys(one.__module__ for one in kind.__mro__ if one.__module__.startswith(written))
    return [_parsed(name) for name in modules]


@cache
def _parsed(module: str) -> ast.AST:
    import sys

    return ast.parse(inspect.getsource(sys.modules[module]))


def _attributes_of(tree: ast.AST, owner: str) -> Iterator[str]:
    """What is read from something called `owner`: as an attribute, or by getattr and hasattr."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is(node.value, owner):
            yield node.attr
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("getattr", "hasattr")
            and _is(node.args[0], owner)
            and isinstance(node.args[1], ast.Constant)
        ):
            yield str(node.args[1].value)


def _is(node: ast.AST, owner: str) -> bool:
    return (isinstance(node, ast.Name) and node.id == owner) or (isinstance(node, ast.Attribute) and node.attr == owner)


def tokenizer(special: Iterable[str], named: dict[str, str], processor: type) -> Any:
    """The tokenizer for a processor: what is learned from the shipped texts, then the special tokens, some of them
    under names."""
    # Those with names first, for which others a class's code writes out besides differs between releases.
    known = dict.fromkeys((PAD, UNKNOWN, BEGIN, OPEN, CLOSE, *sorted(named.values()), *special))
    vocab, merges = byte_level_bpe(ORDINARY, shipped_text() + tuple(f"{role}\n" for role in ROLES) * 20)
    return stack_classes.processors_tokenizer(
        processor,
        tokenizer_object=byte_level_tokenizer(vocab, merges, list(known)),
        bos_token=BEGIN,
        eos_token=CLOSE,
        pad_token=PAD,
        unk_token=UNKNOWN,
        padding_side="right",
        model_max_length=1 << 20,
        named=dict(named),
    )
