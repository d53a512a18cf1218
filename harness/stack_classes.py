"""Layer 0. What any type of model is made with under each release of transformers: classes, by name, and settings.

Part of what stack.py is for. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from harness import vision_transforms
from harness.refusal import Lacking
from harness.stack import release, versions


def class_named(name: str) -> Any:
    """A class of transformers. Raises Lacking where the installed release has none of that name."""
    import transformers

    found = getattr(transformers, name, None)
    if found is None:
        raise Lacking(f"transformers {versions()['transformers']} has no {name}", do="install a later transformers")
    return found


def auto_names(module: str, kind: str) -> dict[str, Any]:
    """The names of the classes of a kind, by type of model, as the Auto classes know them; none before there were any
    (processors of films have been parts of their own since transformers 4.52)."""
    try:
        table = importlib.import_module(f"transformers.models.auto.{module}_auto")
    except ModuleNotFoundError:
        return {}
    return dict(getattr(table, f"{kind}_MAPPING_NAMES"))


def part_named(processor: type, part: str) -> str | None:
    """The class that a processor itself names for a part, as those of transformers 4 do, and not by an Auto class: of
    two the one on torchvision where that is there."""
    named = (getattr(processor, f"{part}_class", None) or ()) if release("transformers") < (5, 0) else ()
    found = [str(name) for name in ([named] if isinstance(named, str) else named) if name]
    if not found or any(name.startswith("Auto") for name in found):
        return None
    return found[-1] if vision_transforms.available() else found[0]


def image_processor_class(name: str) -> Any:
    """An image processor's class by its plain name: on torchvision where that is there, as the library chooses, else on
    PIL. Of transformers 4 the plain class is on PIL, and Fast says that it is on torchvision."""
    import transformers

    on_torchvision = [f"{name}Fast", name] if release("transformers") < (5, 0) else [name]
    names = on_torchvision if vision_transforms.available() else [f"{name}Pil", name]
    return next((found for one in names if (found := getattr(transformers, one, None))), None) or class_named(name)


def default_of(kind: type, name: str) -> Any:
    """The default of a setting of an image processor: of older releases some classes have it in their signature."""
    found = getattr(kind, name, None)
    if found is None and name in inspect.signature(kind).parameters:
        found = getattr(kind(), name, None)
    return found


def processors_tokenizer(processor: type, tokenizer_object: Any, named: dict[str, str], **options: Any) -> Any:
    """A tokenizer for a processor, with names for some of its special tokens. Of transformers 4 each processor names a
    class of its own; tokenizers give token types unless told otherwise, and before 4.47 know three further names."""
    import transformers

    if release("transformers") >= (5, 0):
        return transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer_object, extra_special_tokens=named, **options
        )
    asked = getattr(processor, "tokenizer_class", None) or ()
    fast = [name for name in ([asked] if isinstance(asked, str) else asked) if str(name).endswith("Fast")]
    kind = class_named(fast[0]) if fast else transformers.PreTrainedTokenizerFast
    if tokenizer_object.normalizer is None:  # classes of BERT's ask it for its settings
        from tokenizers import normalizers

        tokenizer_object.normalizer = normalizers.Sequence([])
    standard = {name: token for name, token in named.items() if name in ("sep_token", "cls_token", "mask_token")}
    further = {name: token for name, token in named.items() if name not in standard}
    if release("transformers") >= (4, 47):
        options["extra_special_tokens"] = further
    made = kind(
        tokenizer_object=tokenizer_object, model_input_names=["input_ids", "attention_mask"], **standard, **options
    )
    for name, token in further.items() if release("transformers") < (4, 47) else ():
        setattr(made, name, token)
    return made


def tied(model: Any) -> Any:
    """A new model, with the weights shared that its configuration says: transformers 5.0 shares them on loading."""
    if release("transformers")[0] == 5:
        model.tie_weights()
    return model
