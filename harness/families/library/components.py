"""Which part of a model does what, found from the module tree and the configurations that its modules carry."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from harness.recipe import COMPONENTS, Component

if TYPE_CHECKING:
    from torch import nn

# Modules inside or beside a tower that hand its features on, by the last word of their path.
_CONNECTS = re.compile(
    r"\w*(merger|projector|projection|connector|aligner|resampler|adapter|perceiver|qformer|abstractor|embed_vision"
    r"|embed_audio|mlp1|image_newline|view_seperator|view_separator|query_tokens)\w*"
)
_CONNECTS_INSIDE = re.compile(r"\w*(merger|projector|connector|aligner|resampler|adapter|perceiver|abstractor|mlp1)\w*")
_SEES = re.compile(r"(?!.*(language|text))\w*(vision|visual|image|vit|vq|sam|pixel|img|radio)\w*")
_FILMS = re.compile(r"video_\w+")
_HEARS = re.compile(r"\w*(audio|speech|sound)\w*")
_DRAWS = re.compile(r"(generation|gen)_\w*|vq\w*model|\w*vqgan\w*")
_SPEAKS = re.compile(r"(language|text)_model|llm|language_backbone|decoder|text_decoder|\w*text_model")


@dataclass(frozen=True)
class Parts:
    """Each component's modules and bare parameters, as paths in memory: together they are every parameter once.

    `layers` is each component's largest list of layers, `depth` how long that is.
    """

    owned: dict[Component, tuple[str, ...]]
    bare: dict[Component, tuple[str, ...]]
    layers: dict[Component, str]
    depth: dict[Component, int]

    @property
    def components(self) -> tuple[Component, ...]:
        return tuple(name for name in COMPONENTS if self.owned.get(name) or self.bare.get(name))

    @cached_property
    def patterns(self) -> dict[Component, str]:
        """By component, a regular expression that matches the paths of its modules and bare parameters, whole."""
        return {name: rf"(?:{_either((*self.owned[name], *self.bare[name]))})$" for name in self.components}

    def prefixes(self, component: Component) -> str:
        """A regular expression that the paths of a component's parameters begin with."""
        inside = [rf"{re.escape(path)}\." for path in self.owned[component]]
        return rf"(?:{'|'.join([*inside, *(rf'{re.escape(path)}$' for path in self.bare[component])])})"


def _either(paths: tuple[str, ...]) -> str:
    return "|".join(re.escape(path) for path in paths)


def parts_of(model: nn.Module) -> Parts:
    """The parts of a model."""
    roles = _Roles(model)
    owner: dict[str, Component] = {}
    for path, _ in model.named_parameters(remove_duplicate=False):
        owner[path] = roles.of(path)
    owned: dict[Component, list[str]] = {name: [] for name in COMPONENTS}
    bare: dict[Component, list[str]] = {name: [] for name in COMPONENTS}
    for path, component, whole in _topmost(model, owner, ""):
        (owned if whole else bare)[component].append(path)
    layers = _layers(model, owner)
    return Parts(
        {name: tuple(found) for name, found in owned.items()},
        {name: tuple(found) for name, found in bare.items()},
        {name: path for name, (path, _) in layers.items()},
        {name: depth for name, (_, depth) in layers.items()},
    )


class _Roles:
    """What a parameter is for, by the innermost module on the way to it of which anything is known."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.embeddings = _path_of(model, _called(model, "get_input_embeddings"))
        self.head = _path_of(model, _called(model, "get_output_embeddings"))
        self.text = self._text_path()

    def _text_path(self) -> str:
        """The module that speaks: the one whose own configuration is that of the text."""
        model: Any = self.model
        text = model.config.get_text_config(decoder=True)
        whole = type(model.config)
        path: str
        for path, module in model.named_modules():
            kind = type(getattr(module, "config", None))
            if path and kind is type(text) and kind is not whole and not _SEES.fullmatch(path.rpartition(".")[2]):
                return path
        return ""

    def of(self, path: str) -> Component:
        if self.head and path.startswith(f"{self.head}."):
            return "lm_head"
        if self.embeddings and path.startswith(f"{self.embeddings}."):
            return "embeddings"
        role: Component | None = None
        words = path.split(".")
        for depth, word in enumerate(words):
            here = ".".join(words[: depth + 1])
            role = self._role(word, here, role) or role
        if role is None:
            role = "connector" if self.text else "language"
        if role == "language" and re.search(r"(?:^|\.)embed_tokens\w*\.", path) and "layers." not in path:
            return "embeddings"
        return role

    def _role(self, word: str, here: str, before: Component | None) -> Component | None:  # noqa: PLR0911
        if self.text and here == self.text:
            return "language"
        if before in ("language", "connector", "other"):
            return None
        if self.text.startswith(f"{here}."):  # the text lies deeper: this module holds more than one part
            return None
        if before is None and _DRAWS.fullmatch(word) and self._has_other_tower(here):
            return "other"
        if (_CONNECTS if before is None else _CONNECTS_INSIDE).fullmatch(word):
            return "audio" if before == "audio" or _HEARS.fullmatch(word) else "connector"
        if before is not None:
            return None
        if _HEARS.fullmatch(word):
            return "audio"
        if _FILMS.fullmatch(word) and self._has_other_tower(here):
            return "vision_aux"
        if _SEES.fullmatch(word):
            return "vision"
        return "language" if not self.text and _SPEAKS.fullmatch(word) else None

    def _has_other_tower(self, here: str) -> bool:
        """Whether something else sees: then what draws pictures is no tower."""
        words = {path.rpartition(".")[2] for path, _ in self.model.named_modules() if not path.startswith(here)}
        return any(_SEES.fullmatch(word) and not _DRAWS.fullmatch(word) for word in words if word)


def widest(met: Collection[str], paths: Collection[str]) -> list[str]:
    """The highest modules all of whose parameters are among those met, and such parameters outside of them."""
    inside, there = Counter(chain.from_iterable(map(_around, met))), Counter(chain.from_iterable(map(_around, paths)))
    return list(dict.fromkeys(next(here for here in _around(path) if inside[here] == there[here]) for path in met))


def _around(path: str) -> list[str]:
    """A parameter's modules, the outermost first, and itself."""
    words = path.split(".")
    return [".".join(words[:end]) for end in range(1, len(words) + 1)]


def _called(model: Any, name: str) -> Any:
    try:
        return getattr(model, name)()
    except (AttributeError, NotImplementedError, TypeError):
        return None


def _path_of(model: nn.Module, module: Any) -> str:
    return next((path for path, one in model.named_modules() if one is module), "") if module is not None else ""


def _topmost(model: Any, owner: dict[str, Component], path: str) -> Iterator[tuple[str, Component, bool]]:
    """The highest modules all of whose parameters are of one component, and the parameters that lie between them."""
    for name, _ in model.named_parameters(recurse=False):
        here = f"{path}.{name}".lstrip(".")
        yield here, owner[here], False
    for name, child in model.named_children():
        here = f"{path}.{name}".lstrip(".")
        found = {owner[p] for p in owner if p.startswith(f"{here}.")}
        if len(found) == 1:
            yield here, found.pop(), True
        elif found:
            yield from _topmost(child, owner, here)


def _layers(model: Any, owner: dict[str, Component]) -> dict[Component, tuple[str, int]]:
    """By component, the list of layers that holds most of its parameters."""
    from torch import nn

    best: dict[Component, tuple[int, str, int]] = {}
    for path, module in model.named_modules():
        if not isinstance(module, nn.ModuleList) or not len(module):
            continue
        inside = [owner[p] for p in owner if p.startswith(f"{path}.")]
        size = sum(parameter.numel() for parameter in module.parameters())
        if inside and len(set(inside)) == 1 and size > best.get(inside[0], (0, "", 0))[0]:
            best[inside[0]] = (size, path, len(module))
    return {name: (path, depth) for name, (_, path, depth) in best.items()}
