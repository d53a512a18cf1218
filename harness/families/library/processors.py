"""The processor of a type, of the library's own classes, built offline."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness import stack, stack_classes
from harness.families.library import tokens
from harness.families.library.code import Code
from harness.families.library.overrides import Override
from harness.families.library.types import Classes
from harness.refusal import Refused

PARTS = ("image_processor", "video_processor", "feature_extractor", "audio_processor")


@dataclass(frozen=True)
class Needed:
    """The classes that a type's processor is made of, by the part they play."""

    processor: type
    parts: dict[str, type]


def needed(model_type: str, classes: Classes, override: Override, code: Code | None = None) -> Needed:
    """The classes of a type, or those that a directory brings. Raises Refused, naming what is missing, where one cannot
    be had here."""
    name = override.processor_class or classes.processor
    if name is None:
        raise Refused(f"transformers:{model_type}: the library has no processor for this type", do="name another")
    kind = code.find("AutoProcessor") if code and "AutoProcessor" in code.named else stack_classes.class_named(name)
    wanted = _parts_of(kind)
    named = {
        "image_processor": override.image_processor_class or classes.image_processor,
        "video_processor": override.video_processor_class or classes.video_processor,
        "feature_extractor": override.feature_extractor_class or classes.feature_extractor,
    }
    named["audio_processor"] = named["feature_extractor"]
    parts = {}
    for part in wanted:
        own = stack_classes.part_named(kind, part)
        if chosen := own or named.get(part):
            if code and "AutoImageProcessor" in code.named and part == "image_processor":
                found = code.find("AutoImageProcessor")
            elif part == "image_processor" and not own:
                found = stack_classes.image_processor_class(chosen)
            else:
                found = stack_classes.class_named(chosen)
            _refuse_missing(model_type, found)
            parts[part] = found
        elif part == "video_processor":
            if not stack.has("torchvision"):
                _refuse_torchvision(model_type, "its processor has a part for videos")
            from transformers.video_processing_utils import BaseVideoProcessor

            parts[part] = BaseVideoProcessor
    return Needed(kind, parts)


def _parts_of(kind: type) -> list[str]:
    accepted = inspect.signature(kind.__init__).parameters  # type: ignore[misc]
    return [part for part in PARTS if part in accepted]


def _refuse_missing(model_type: str, found: type) -> None:
    """The library stands in for classes whose libraries are missing, and says so when one is made."""
    if backends := [name for name in getattr(found, "_backends", ()) if not stack.has(name)]:
        _refuse_torchvision(model_type, f"{found.__name__} is made with {', '.join(backends)}")


def _refuse_torchvision(model_type: str, why: str) -> None:
    raise Refused(
        f"transformers:{model_type} needs torchvision: {why}",
        do="pip install --no-deps torchvision: beside a torch for the CPU its transforms are enough",
    )


def build(model_type: str, classes: Classes, override: Override, config: Any, code: Code | None = None) -> Any:
    """The processor for models of a configuration, with its tokenizer and all that it is made of."""
    chosen = needed(model_type, classes, override, code)
    made = {part: _made(part, kind, override, config) for part, kind in chosen.parts.items()}
    accepted = inspect.signature(chosen.processor.__init__).parameters  # type: ignore[misc]
    special = (*tokens.named_in_code(chosen.processor), *override.tokens)
    tokenizer = tokens.tokenizer(special, _named(chosen.processor, accepted, override), chosen.processor)
    options = {**made, **_told(accepted, config), **override.processor}
    for name in accepted:  # a second tokenizer, for what reads a question beside the model
        if name.endswith("_tokenizer"):
            options[name] = tokens.tokenizer(special, {}, chosen.processor)
    processor = chosen.processor(tokenizer=tokenizer, **options)
    picture = override.picture if override.picture is not None else picture_of(processor)
    tokenizer.chat_template = tokens.chat_template(picture)
    if "chat_template" in accepted:
        processor.chat_template = tokenizer.chat_template
    return processor


def _made(part: str, kind: type, override: Override, config: Any) -> Any:
    said = {"image_processor": override.image_processor, "video_processor": override.video_processor}.get(part, {})
    seen = geometry(kind, config) if part == "image_processor" else {}
    return kind(**{**seen, **said})


def _told(accepted: Any, config: Any) -> dict[str, Any]:
    """Settings that a processor has in common with a configuration, or with its part for what sees."""
    vision = getattr(config, "vision_config", None)
    found = {}
    for name in accepted:
        if name in (*PARTS, "tokenizer", "chat_template", "kwargs", "args", "self") or "token" in name:
            continue
        value = getattr(vision, name, None) if getattr(config, name, None) is None else getattr(config, name)
        if value is not None:
            found[name] = value
    return found


def geometry(kind: type, config: Any) -> dict[str, Any]:
    """What an image processor must know of the tower that its pictures are for: their size, and that of patches."""
    vision = getattr(config, "vision_config", None) or config
    found: dict[str, Any] = {}
    side, size = getattr(vision, "image_size", None), dict(stack_classes.default_of(kind, "size") or {})
    if isinstance(side, (list, tuple)) and len(set(side)) == 1:
        side = side[0]
    if isinstance(side, int) and size and set(size) <= {"height", "width", "shortest_edge"}:
        found["size"] = dict.fromkeys(size, side)
        if stack_classes.default_of(kind, "crop_size"):
            found["crop_size"] = {"height": side, "width": side}
    for ours, theirs in (("patch_size", "patch_size"), ("merge_size", "spatial_merge_size")):
        value = getattr(vision, theirs, None)
        if isinstance(stack_classes.default_of(kind, ours), int) and isinstance(value, int):
            found[ours] = value
    return found


def _named(kind: type, accepted: Any, override: Override) -> dict[str, str]:
    """Names that the tokenizer has for special tokens: those that the class asks for, each with a token of its own."""
    found: dict[str, str] = {}
    for name in tokens.asked_of_tokenizer(kind):
        default = accepted[name].default if name in accepted else None
        if isinstance(default, str):
            found[name] = default
        else:
            found[name] = tokens.written_for(kind).get(name) or f"<{name.removesuffix('_token')}>"
    said = {**found, **override.named}
    return {name: token for name, token in said.items() if token}


def place_of(processor: Any, picture: str, call: Mapping[str, Any]) -> int | None:
    """The token in whose places features of a picture go: the one of which a picture becomes most. None where pictures
    have no token at all."""
    from PIL import Image

    inputs = processor(text=[picture], images=[Image.new("RGB", (96, 64))], return_tensors="pt", **call)
    counts = Counter(one for one in inputs["input_ids"][0].tolist() if one >= tokens.ORDINARY)
    if not counts:
        return None
    most, count = counts.most_common(1)[0]
    own = getattr(processor, "image_token_id", None)
    return own if count == 1 and isinstance(own, int) else most


def picture_of(processor: Any) -> str:
    """What stands for a picture in a text: what the processor calls its image token."""
    for owner in (processor, processor.tokenizer):
        for name in ("image_token", "img_token"):
            found: Any = getattr(owner, name, None)
            text = getattr(found, "content", found)
            if isinstance(text, str):
                return text
    return ""
